package tunnel_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
	"github.com/wgnode/wgnode/tunnel/tundev"
	"github.com/wgnode/wgnode/tunnel/udp"
)

// Over real TUN devices with offloads, real sockets and several peers at once,
// the events say of every single packet what really happened to it:
//
//	spoke 1  10.7.0.2  ----\
//	spoke 2  10.7.0.3  ------  hub 10.7.0.1
//	spoke 3  10.7.0.4  ----/
//
// Each spoke has two TCP connections to the hub that carry data both ways. A
// tap below each tunnel notes what really passed.
func TestExactOverTUN(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 300 MB; not with -short")
	}
	if tunneltest.Race {
		t.Skip("two cores with the race detector are too slow for 300 MB")
	}
	const spokes, flows, bytes = 3, 2, 24 << 20
	l := lab.New(t)
	hub := newNode(t, l.Host("hub"), "10.7.0.1", 256<<20, udp.New(udp.Options{}))
	others := make([]*node, spokes)
	var peers []tunnel.PeerConfig
	for i := range others {
		bind := conn.NewDefaultBind()
		if i == 0 {
			bind = udp.New(udp.Options{})
		}
		s := newNode(t, l.Host(fmt.Sprintf("spoke%d", i+1)), fmt.Sprintf("10.7.0.%d", i+2), 128<<20, bind)
		l.Link(hub.host.End(fmt.Sprintf("eth%d", i), fmt.Sprintf("10.8.%d.1/24", i)), s.host.End("eth0", fmt.Sprintf("10.8.%d.2/24", i)))
		peers = append(peers, tunnel.PeerConfig{Name: s.host.Name(), PublicKey: s.key.Public(),
			AllowedIPs: []netip.Prefix{netip.PrefixFrom(s.addr, 32)}})
		others[i] = s
	}
	hub.up(t, peers)
	for i, s := range others {
		s.up(t, []tunnel.PeerConfig{{Name: "hub", PublicKey: hub.key.Public(), AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.7.0.0/24")},
			Endpoint: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 8, byte(i), 1}), hub.tun.ListenPort())}})
	}

	ctx := patience.Context(t)
	listener := hub.host.Listen("tcp", "10.7.0.1:5000")
	var transfers errgroup.Group
	for _, s := range others {
		for range flows {
			transfers.Go(func() error {
				c, err := s.host.Dial(ctx, "tcp", "10.7.0.1:5000")
				if err != nil {
					return err
				}
				return exchange(c, bytes)
			})
			transfers.Go(func() error {
				c, err := listener.Accept()
				if err != nil {
					return err
				}
				return exchange(c, bytes)
			})
		}
	}
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	if err := transfers.Wait(); err != nil {
		t.Fatalf("transfer: %v", err)
	}
	for _, n := range append(others, hub) {
		n.tun.Close()
	}
	compare(t, hub, others)
}

// exchange sends n bytes and receives as many.
func exchange(c net.Conn, n int64) error {
	defer c.Close()
	if err := c.SetDeadline(patience.Deadline()); err != nil {
		return err
	}
	var both errgroup.Group
	both.Go(func() error { _, err := io.CopyN(c, zeros{}, n); return err })
	both.Go(func() error { _, err := io.CopyN(io.Discard, c, n); return err })
	return both.Wait()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// compare holds the events of both ends against each other and against what
// the taps saw.
func compare(t *testing.T, hub *node, spokes []*node) {
	t.Helper()
	all := append([]*node{hub}, spokes...)
	for _, n := range all {
		n.finish(t)
	}
	sent := make(map[message]sight) // by every node
	for _, n := range all {
		n.checkSent(t, sent)
	}
	var up, down int
	for _, n := range all {
		received := n.checkReceived(t, sent)
		if n == hub {
			up += received
		} else {
			down += received
		}
	}
	t.Logf("%d packets to the hub, %d from it", up, down)
	if up < 100_000 || down < 100_000 {
		t.Errorf("%d packets to the hub, %d from it: want 100000 each", up, down)
	}
}

// message names a data message. Indices are random: no two sessions of this
// test have the same.
type message struct {
	receiver uint32
	counter  uint64
}

// sight is an inner packet as a tap saw it.
type sight struct {
	hash uint64
	len  int
	flow probe.Event // inner fields
}

var seed = maphash.MakeSeed()

func look(pkt []byte) sight {
	s := sight{hash: maphash.Bytes(seed, pkt), len: len(pkt)}
	s.flow.DecodeInner(pkt)
	return s
}

// says reports whether an event says what the tap saw.
func (s *sight) says(e *probe.Event) bool {
	f := &s.flow
	return e.InnerSrc == f.InnerSrc && e.InnerDst == f.InnerDst && e.InnerSrcPort == f.InnerSrcPort && e.InnerDstPort == f.InnerDstPort &&
		e.InnerLen == f.InnerLen && e.Proto == f.Proto && e.Info == f.Info && int(e.InnerLen) == s.len
}

// tap is a TUN device that remembers all packets.
type tap struct {
	tun.Device
	read    []sight // in order; used by the one reader until the device is closed
	batches int     // reads of more than one packet

	mu      sync.Mutex
	written map[message]sight // guarded by mu
}

func (d *tap) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	n, err := d.Device.Read(bufs, sizes, offset)
	if n > 1 {
		d.batches++
	}
	for i := range n {
		if sizes[i] > 0 {
			d.read = append(d.read, look(bufs[i][offset:offset+sizes[i]]))
		}
	}
	return n, err
}

// Write finds before each packet the header of the message that it came in.
func (d *tap) Write(bufs [][]byte, offset int) (int, error) {
	d.mu.Lock()
	for _, b := range bufs {
		h := b[offset-16:]
		if binary.LittleEndian.Uint32(h) == probe.TypeData {
			d.written[message{binary.LittleEndian.Uint32(h[4:]), binary.LittleEndian.Uint64(h[8:])}] = look(b[offset:])
		}
	}
	d.mu.Unlock()
	return d.Device.Write(bufs, offset)
}

// node is a host with a tunnel, its tap and a reader of its events.
type node struct {
	host *lab.Host
	addr netip.Addr
	key  key.Private
	tun  *tunnel.Tunnel
	tap  *tap

	sub    *probe.Subscription
	stop   context.CancelFunc
	done   chan struct{}
	events []probe.Event // until done is closed, the reader's
}

func newNode(t *testing.T, h *lab.Host, addr string, recorder int, bind conn.Bind) *node {
	t.Helper()
	n := &node{host: h, addr: netip.MustParseAddr(addr), key: key.GeneratePrivate(), done: make(chan struct{})}
	err := h.Do(func() error {
		dev, err := tundev.Create("wg0", 1420)
		if err != nil {
			return err
		}
		n.tap = &tap{Device: dev, written: make(map[message]sight)}
		n.tun, err = tunnel.New(n.tap, bind, tunnel.Options{RecorderBytes: recorder})
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", h.Name(), err)
	}
	t.Cleanup(n.tun.Close)
	n.sub = n.tun.Recorder().Subscribe(probe.SubscribeOptions{Past: true})
	t.Cleanup(n.sub.Close)
	var ctx context.Context
	ctx, n.stop = context.WithCancel(t.Context())
	go func() {
		defer close(n.done)
		for n.readMore(ctx) {
		}
	}()
	return n
}

func (n *node) readMore(ctx context.Context) bool {
	var buf [1024]probe.Event
	k, err := n.sub.Read(ctx, buf[:])
	n.events = append(n.events, buf[:k]...)
	return err == nil
}

func (n *node) up(t *testing.T, peers []tunnel.PeerConfig) {
	t.Helper()
	err := n.host.Do(func() error { // opens sockets
		if err := n.tun.Configure(tunnel.Config{PrivateKey: n.key, Peers: peers}); err != nil {
			return err
		}
		return n.tun.Up()
	})
	if err != nil {
		t.Fatalf("%s: %v", n.host.Name(), err)
	}
	n.host.Run("ip", "address", "add", n.addr.String()+"/24", "dev", "wg0")
	n.host.Run("ip", "link", "set", "wg0", "up")
}

// finish waits until all events are read.
func (n *node) finish(t *testing.T) {
	t.Helper()
	n.stop()
	<-n.done
	ctx := patience.Context(t)
	for uint64(len(n.events))+n.sub.Lost() < n.tun.Recorder().Recorded() && n.readMore(ctx) {
	}
	if read, recorded := uint64(len(n.events)), n.tun.Recorder().Recorded(); n.sub.Lost() != 0 || read != recorded {
		t.Errorf("%s: %d of %d events read, %d lost", n.host.Name(), read, recorded, n.sub.Lost())
	}
	if c := n.tun.Counters(); c.Untagged != 0 || c.Mismatches != 0 || c.Unrecorded != 0 {
		t.Errorf("%s: %+v", n.host.Name(), c)
	}
	if n.tap.batches < 100 {
		t.Errorf("%s: only %d reads of more than one packet: no offloads?", n.host.Name(), n.tap.batches)
	}
}

// checkSent compares what was read from the TUN device with what was sent, and
// adds it to sent.
func (n *node) checkSent(t *testing.T, sent map[message]sight) {
	t.Helper()
	entered, left := 0, 0
	var when int64
	together := 0 // events of packets that were read in one batch
	for i := range n.events {
		e := &n.events[i]
		switch e.Seam {
		case probe.SeamTUNRead:
			if entered++; e.Seq > uint64(len(n.tap.read)) || !n.tap.read[e.Seq-1].says(e) {
				t.Fatalf("%s: TUN read %d is another packet than the tap's", n.host.Name(), e.Seq)
			}
			if e.Time == when {
				together++
			}
			when = e.Time
			if e.Dropped() {
				left++
			}
		case probe.SeamUDPSend:
			if e.Kind != probe.KindData {
				continue
			}
			left++
			if e.Pair == 0 || !n.tap.read[e.Pair-1].says(e) {
				t.Fatalf("%s: message %d was not TUN read %d", n.host.Name(), e.Counter, e.Pair)
			}
			m := message{e.Receiver, e.Counter}
			if _, again := sent[m]; again {
				t.Fatalf("%s: message %+v was sent twice", n.host.Name(), m)
			}
			sent[m] = n.tap.read[e.Pair-1]
		case probe.SeamDevice:
			if e.Kind == probe.KindInner && e.Dropped() {
				t.Logf("%s: %v: peer %d, %d bytes, Seq %d, Pair %d", n.host.Name(), e.Reason, e.Peer, e.InnerLen, e.Seq, e.Pair)
				left++
			}
		}
	}
	if entered != len(n.tap.read) {
		t.Errorf("%s: %d packets read, %d events", n.host.Name(), len(n.tap.read), entered)
	}
	// What was inside as the device closed never left; it is few.
	if entered-left < 0 || entered-left > 256 {
		t.Errorf("%s: %d packets entered, %d left or were dropped", n.host.Name(), entered, left)
	}
	if together == 0 {
		t.Errorf("%s: no two packets were read together", n.host.Name())
	}
}

// checkReceived compares what was received and written with what the others
// sent, and returns how many packets were written.
func (n *node) checkReceived(t *testing.T, sent map[message]sight) int {
	t.Helper()
	receipts := make(map[uint64]message)
	for i := range n.events {
		if e := &n.events[i]; e.Seam == probe.SeamUDPReceive && e.Kind == probe.KindData {
			m := message{e.Receiver, e.Counter}
			receipts[e.Seq] = m
			if s, ok := sent[m]; e.Dropped() || !ok || e.InnerLen != 0 && !s.says(e) {
				t.Fatalf("%s: message %+v received (%v): was not sent so", n.host.Name(), m, e.Reason)
			}
		}
	}
	written := 0
	for i := range n.events {
		e := &n.events[i]
		if e.Seam != probe.SeamTUNWrite {
			continue
		}
		written++
		m := message{e.Receiver, e.Counter}
		from, was := sent[m]
		tapped, wrote := n.tap.written[m]
		if !was || !wrote || receipts[e.Pair] != m {
			t.Fatalf("%s: message %+v written: sent %v, at the tap %v, received as %+v", n.host.Name(), m, was, wrote, receipts[e.Pair])
		}
		if tapped.hash != from.hash || !tapped.says(e) || !from.says(e) {
			t.Fatalf("%s: message %+v is not the packet that was sent", n.host.Name(), m)
		}
	}
	if written != len(n.tap.written) {
		t.Errorf("%s: %d packets written, %d events", n.host.Name(), len(n.tap.written), written)
	}
	return written
}
