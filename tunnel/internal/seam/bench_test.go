package seam

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/account"
	"github.com/wgnode/wgnode/tunnel/internal/handshake"
	"github.com/wgnode/wgnode/tunnel/internal/mirror"
	"github.com/wgnode/wgnode/tunnel/internal/refuse"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
	"github.com/wgnode/wgnode/tunnel/internal/tap"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
)

// The rig drives the packet seams as the device would, between a TUN device
// and a Bind that do nothing: what is left is the cost of watching. The
// buffers are those of the device in size and in number, so that a tag is as
// far from the processor's caches as it is in earnest.
type rig struct {
	w     *Watch
	tun   *TUN
	udp   *UDP
	in    *receiver
	peers int
	kind  packetKind
	ep    conn.Endpoint

	pool  [][]byte
	at    int // next buffer of the pool
	turn  int // next peer
	bufs  [][]byte
	msgs  [][]byte
	sizes []int
	eps   []conn.Endpoint
}

type packetKind struct {
	name string
	pkt  func(src, dst netip.Addr) []byte
	addr func(peer int) netip.Addr
}

var packetKinds = []packetKind{
	{"udp4", func(src, dst netip.Addr) []byte { return tunneltest.UDP4(src, dst, 4000, 5000, 1300) }, addr4},
	{"tcp4", tunneltest.TCP4, addr4},
	{"tcp6", tunneltest.TCP6, addr6},
}

func addr4(peer int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(peer >> 16), byte(peer >> 8), byte(peer)})
}

func addr6(peer int) netip.Addr {
	a := [16]byte{0: 0xfd, 15: byte(peer), 14: byte(peer >> 8)}
	return netip.AddrFrom16(a)
}

const rigPool = 512

// newRig makes a tunnel with peers, each with a session, and a pool of
// buffers with packets of kind in them. Nothing is started: the benchmark's
// goroutine stands for all of the device's.
func newRig(tb testing.TB, peers, batch int, kind packetKind) *rig {
	tb.Helper()
	w := newWatch(tb)
	r := &rig{w: w, peers: peers, kind: kind, ep: &conn.StdNetEndpoint{AddrPort: netip.MustParseAddrPort("192.0.2.1:51820")}}
	for i := range peers {
		p := w.Mirror.Peers.Ensure(key.Public{byte(i), byte(i >> 8), 1})
		p.Configured.Store(true)
		w.Mirror.EndpointSet(p, netip.MustParseAddrPort("192.0.2.1:51820"), false)
		a := kind.addr(i)
		w.Mirror.Allowed.Insert(netip.PrefixFrom(a, a.BitLen()), p.ID)
		w.Mirror.Local.Add(rigIndex(i), p.ID, true, 1)
		w.Mirror.Remote.Add(rigIndex(i), p.ID, true, 1)
	}
	r.tun = w.TUN(&nullTUN{TUN: tunneltest.NewIdleTUN(), r: r})
	r.udp = w.UDP(nullBind{conn.NewDefaultBind()})
	r.in = &receiver{w: w, fn: r.fill}
	pkt := kind.pkt(kind.addr(1<<16-1), kind.addr(0))
	for range rigPool {
		b := make([]byte, 65535)
		b[0] = probe.TypeData
		copy(b[tag.Headroom:], pkt)
		r.pool = append(r.pool, b)
	}
	r.bufs, r.sizes, r.eps = make([][]byte, batch), make([]int, batch), make([]conn.Endpoint, batch)
	r.msgs = make([][]byte, batch)
	return r
}

// newWatch returns what the seams of a device look with. The device is down; what works
// beside it does.
func newWatch(tb testing.TB) *Watch {
	tb.Helper()
	rec, err := probe.NewRecorder(probe.DefaultRecorderBytes)
	if err != nil {
		tb.Fatal(err)
	}
	m, tags, taps := mirror.New(rec), tag.New(), tap.New(rec)
	dev := tunneltest.NewIdleTUN()
	w := &Watch{
		Recorder: rec, Mirror: m, Flows: probe.NewFlows(probe.DefaultFlows), Tags: tags, Taps: taps,
		Handshakes: handshake.New(m, taps), Accountant: account.New(rec, m, tags), Refuser: refuse.New(dev, nil),
	}
	d := device.NewDevice(dev, conn.NewDefaultBind(), device.NewLogger(device.LogLevelSilent, ""))
	w.Accountant.Attach(d)
	done := make(chan struct{})
	var workers sync.WaitGroup
	workers.Go(func() { w.Accountant.Run(done) })
	tb.Cleanup(func() {
		d.Close()
		close(done)
		workers.Wait()
	})
	return w
}

// rigIndex is the session index of a peer, spread as random ones are.
func rigIndex(peer int) uint32 { return uint32(peer+1) * 2654435761 }

// take puts the next buffers of the pool into bufs.
func (r *rig) take() {
	for i := range r.bufs {
		r.bufs[i] = r.pool[(r.at+i)%rigPool]
	}
	r.at += len(r.bufs)
}

// address makes the packet in buf one of the next peer.
func (r *rig) address(buf []byte, inbound bool) {
	peer := r.turn % r.peers
	binary.LittleEndian.PutUint32(buf[4:], rigIndex(peer))
	at := tag.Headroom + 16 // IPv4 destination
	if inbound {
		at = tag.Headroom + 12
	}
	if buf[tag.Headroom]>>4 == 6 {
		at = tag.Headroom + 36
		if inbound {
			at = tag.Headroom + 20
		}
	}
	buf[at+2], buf[at+3] = byte(peer>>8), byte(peer)
}

func (r *rig) length() int {
	if r.pool[0][tag.Headroom]>>4 == 6 {
		return 1360
	}
	return 1328
}

// nullTUN reads what is in the buffers already, and swallows writes.
type nullTUN struct {
	*tunneltest.TUN
	r *rig
}

func (n *nullTUN) Read(bufs [][]byte, sizes []int, _ int) (int, error) {
	for i := range bufs {
		sizes[i] = n.r.length()
		n.r.address(bufs[i], false)
	}
	n.r.turn++
	return len(bufs), nil
}

func (n *nullTUN) Write(bufs [][]byte, _ int) (int, error) { return len(bufs), nil }
func (n *nullTUN) File() *os.File                          { return nil }

type nullBind struct{ conn.Bind }

func (nullBind) Send([][]byte, conn.Endpoint) error { return nil }

// fill is a receive function that finds its messages in the buffers already.
func (r *rig) fill(bufs [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
	for i := range bufs {
		sizes[i] = r.length() + 32
		r.address(bufs[i], true)
		eps[i] = r.ep
	}
	r.turn++
	return len(bufs), nil
}

// outbound takes one batch of one peer through both seams.
func (r *rig) outbound() {
	r.take()
	n, _ := r.tun.Read(r.bufs, r.sizes, tag.Headroom)
	for i := range n {
		r.msgs[i] = r.bufs[i][:r.sizes[i]+32]
	}
	_ = r.udp.Send(r.msgs[:n], r.ep)
}

// inbound is outbound's reverse.
func (r *rig) inbound() {
	r.take()
	n, _ := r.in.receive(r.bufs, r.sizes, r.eps)
	for i := range n {
		r.msgs[i] = r.bufs[i][:tag.Headroom+r.length()]
	}
	_, _ = r.tun.Write(r.msgs[:n], tag.Headroom)
}

func benchmarkSeams(b *testing.B, way func(*rig)) {
	for _, kind := range packetKinds {
		for _, peers := range []int{1, 1000} {
			for _, batch := range []int{1, 16, 45, 128} {
				b.Run(fmt.Sprintf("%s/peers=%d/batch=%d", kind.name, peers, batch), func(b *testing.B) {
					r := newRig(b, peers, batch, kind)
					for range 4 * max(peers, rigPool) / batch {
						way(r)
					}
					b.ReportAllocs()
					packets := 0
					for b.Loop() {
						way(r)
						packets += batch
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
					r.check(b)
				})
			}
		}
	}
}

// check makes sure that what was measured is what was meant.
func (r *rig) check(tb testing.TB) {
	tb.Helper()
	if u, m := r.w.Untagged.Load(), r.w.Mismatches.Load(); u != 0 || m != 0 {
		tb.Errorf("%d untagged, %d mismatches", u, m)
	}
	drops := func(p *mirror.Peer) {
		for why := range p.Drops {
			if n := p.Drops[why].Load(); n != 0 {
				tb.Fatalf("peer %d: %d dropped for %v", p.ID, n, probe.Reason(why))
			}
		}
	}
	drops(r.w.Mirror.Peers.Get(0))
	for p := range r.w.Mirror.Peers.All() {
		drops(p)
		if n := p.Out.Inside(); n != 0 {
			tb.Fatalf("peer %d: %d waiting", p.ID, n)
		}
	}
}

// BenchmarkOutbound is the cost of watching a packet from the TUN device to
// the network, the flight recorder on and nobody reading.
func BenchmarkOutbound(b *testing.B) { benchmarkSeams(b, (*rig).outbound) }

// BenchmarkInbound is the reverse.
func BenchmarkInbound(b *testing.B) { benchmarkSeams(b, (*rig).inbound) }

func TestWatchingDoesNotAllocate(t *testing.T) {
	if tunneltest.Race {
		t.Skip("the race detector allocates")
	}
	for _, kind := range packetKinds {
		for _, batch := range []int{1, 45} {
			r := newRig(t, 100, batch, kind)
			for name, way := range map[string]func(*rig){"outbound": (*rig).outbound, "inbound": (*rig).inbound} {
				way(r) // tags of the other direction are cleared away
				if n := testing.AllocsPerRun(1000, func() { way(r) }); n != 0 {
					t.Errorf("%s %s, batch of %d: %v allocations", kind.name, name, batch, n)
				}
				all := r.w.Taps.Begin(0)
				if n := testing.AllocsPerRun(1000, func() { way(r) }); n != 0 {
					t.Errorf("%s %s, batch of %d, recorded: %v allocations", kind.name, name, batch, n)
				}
				all.Close()
				r.check(t)
			}
		}
	}
}

// BenchmarkTapped is what a tap adds to BenchmarkOutbound: of headers, and of all.
func BenchmarkTapped(b *testing.B) {
	for _, test := range []struct {
		name    string
		snaplen int
	}{{"none", 1}, {"headers", tap.Headers}, {"whole", 0}} {
		b.Run(test.name, func(b *testing.B) {
			const batch = 45
			r := newRig(b, 1, batch, packetKinds[1])
			if test.name != "none" {
				defer r.w.Taps.Begin(test.snaplen).Close()
			}
			packets := 0
			for b.Loop() {
				r.outbound()
				packets += batch
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
		})
	}
}
