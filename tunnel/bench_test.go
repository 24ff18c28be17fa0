package tunnel

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"golang.zx2c4.com/wireguard/conn"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
)

// The rig drives the packet seams as the device would, between a TUN device
// and a Bind that do nothing: what is left is the cost of watching. The
// buffers are those of the device in size and in number, so that a tag is as
// far from the processor's caches as it is in earnest.
type rig struct {
	t     *Tunnel
	tun   *tunSeam
	udp   *udpSeam
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
	dev := tunneltest.NewIdleTUN()
	tn, err := New(dev, testBind(), Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(tn.Close)
	r := &rig{t: tn, peers: peers, kind: kind, ep: &conn.StdNetEndpoint{AddrPort: netip.MustParseAddrPort("192.0.2.1:51820")}}
	for i := range peers {
		p := tn.m.Peers.Ensure(key.Public{byte(i), byte(i >> 8), 1})
		p.Configured.Store(true)
		tn.m.EndpointSet(p, netip.MustParseAddrPort("192.0.2.1:51820"), false)
		a := kind.addr(i)
		tn.m.Allowed.Insert(netip.PrefixFrom(a, a.BitLen()), p.ID)
		tn.m.Local.Add(rigIndex(i), p.ID, true, 1)
		tn.m.Remote.Add(rigIndex(i), p.ID, true, 1)
	}
	r.tun = newTunSeam(&nullTUN{TUN: dev, r: r}, tn)
	r.udp = &udpSeam{Bind: nullBind{testBind()}, t: tn}
	r.in = &receiver{t: tn, fn: r.fill}
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
	if c := r.t.Counters(); c.Untagged != 0 || c.Mismatches != 0 {
		tb.Errorf("counters: %+v", c)
	}
	for _, p := range r.t.Peers() {
		if len(p.Drops) != 0 || p.Waiting != 0 {
			tb.Fatalf("peer %d: drops %v, %d waiting", p.ID, p.Drops, p.Waiting)
		}
	}
	if d := r.t.PeerState(0).Drops; len(d) != 0 {
		tb.Fatalf("drops: %v", d)
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
				tap := r.t.Tap(0)
				if n := testing.AllocsPerRun(1000, func() { way(r) }); n != 0 {
					t.Errorf("%s %s, batch of %d, recorded: %v allocations", kind.name, name, batch, n)
				}
				tap.Close()
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
	}{{"none", 1}, {"headers", TapHeaders}, {"whole", 0}} {
		b.Run(test.name, func(b *testing.B) {
			const batch = 45
			r := newRig(b, 1, batch, packetKinds[1])
			if test.name != "none" {
				defer r.t.Tap(test.snaplen).Close()
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
