package tunnel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/device"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/tunnel/internal/refuse"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
)

// Every packet's events belong together: what a data message carries is what
// the events say that it carries, on both ends, under load, in both
// directions, with no exception.
func TestTagsExact(t *testing.T) {
	const batches, size = 400, 64
	a, b := pair(t, nil)
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
	b.receive(t) // the session is there
	wa := a.Recorder().Subscribe(probe.SubscribeOptions{})
	wb := b.Recorder().Subscribe(probe.SubscribeOptions{})
	defer wa.Close()
	defer wb.Close()
	done := make(chan map[message]uint64, 4)
	for _, w := range []struct {
		s    *probe.Subscription
		seam probe.Seam
	}{{wa, probe.SeamUDPSend}, {wb, probe.SeamTUNWrite}} {
		go func() { done <- collect(t, w.s, w.seam, batches*size) }()
	}
	for i := range batches {
		var pkts [][]byte
		for j := range size {
			pkts = append(pkts, tunneltest.UDP4(a.addr, b.addr, uint16(i+1), uint16(j+1), (i*size+j)%1300))
		}
		a.send(pkts...)
		for range size {
			b.receive(t)
		}
	}
	sent, got := <-done, <-done
	if len(sent) != batches*size || len(got) != batches*size {
		t.Fatalf("%d and %d messages seen, want %d", len(sent), len(got), batches*size)
	}
	for k, ports := range sent {
		if got[k] != ports {
			t.Fatalf("message %+v: one end saw ports %#x in it, the other %#x", k, ports, got[k])
		}
	}
	for _, e := range []*end{a, b} {
		if c := e.Counters(); c.Untagged != 0 || c.Mismatches != 0 || c.Unrecorded != 0 {
			t.Errorf("counters: %+v", c)
		}
	}
}

// Where a tag is depends on how long its packet is, and a packet's length is another
// at the second seam: tags are found all the same, of the packet's own, whatever was
// in its buffer before.
func TestTagsOfLongPackets(t *testing.T) {
	a, b := pair(t, nil)
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
	b.receive(t)
	sizes := []int{0, 1300, tag.NearAt, 9000, 32000, 65000, tag.FarAt - 28 - tag.Growth - tag.Headroom}
	for d := range 80 { // around the longest that is near
		sizes = append(sizes, tag.NearAt-120+d)
	}
	wa := a.Recorder().Subscribe(probe.SubscribeOptions{})
	wb := b.Recorder().Subscribe(probe.SubscribeOptions{})
	defer wa.Close()
	defer wb.Close()
	r := rand.New(rand.NewPCG(3, 4))
	const rounds = 600
	var want []int
	for i := range rounds {
		n := sizes[r.IntN(len(sizes))]
		want = append(want, n)
		a.send(tunneltest.UDP4(a.addr, b.addr, uint16(i+1), 7, n))
		if got := len(b.receive(t)); got != 28+n {
			t.Fatalf("packet %d of %d bytes came out with %d", i, 28+n, got)
		}
	}
	for _, w := range []struct {
		s    *probe.Subscription
		seam probe.Seam
	}{{wa, probe.SeamUDPSend}, {wb, probe.SeamTUNWrite}} {
		for i := range rounds {
			e := tunneltest.Await(t, w.s, w.seam.String(), func(e *probe.Event) bool { return e.Seam == w.seam && e.Kind != probe.KindKeepalive })
			if e.InnerSrcPort != uint16(i+1) || int(e.InnerLen) != 28+want[i] {
				t.Fatalf("%v %d: port %d, %d bytes, want %d", w.seam, i, e.InnerSrcPort, e.InnerLen, 28+want[i])
			}
		}
	}
	for _, e := range []*end{a, b} {
		if c := e.Counters(); c.Untagged != 0 || c.Mismatches != 0 {
			t.Errorf("counters: %+v", c)
		}
	}
}

type message struct {
	receiver uint32
	counter  uint64
}

// collect reads n data messages at a seam and what was in each.
func collect(t *testing.T, s *probe.Subscription, seam probe.Seam, n int) map[message]uint64 {
	m := make(map[message]uint64)
	ctx := patience.Context(t)
	buf := make([]probe.Event, 256)
	for len(m) < n {
		k, err := s.Read(ctx, buf)
		if err != nil {
			break
		}
		for i := range buf[:k] {
			e := &buf[i]
			if e.Seam == seam && e.InnerSrcPort != 0 {
				m[message{e.Receiver, e.Counter}] = uint64(e.InnerSrcPort)<<32 | uint64(e.InnerDstPort)<<16 | uint64(e.InnerLen)
			}
		}
	}
	if s.Lost() != 0 {
		t.Errorf("%d events lost", s.Lost())
	}
	return m
}

// What a peer sends that the device drops in silence is found, counted for the
// peer, and given its reason.
func TestSilentDropsInbound(t *testing.T) {
	a, b := pair(t, nil)
	tap := tunneltest.NewRelay(t, b.endpoint())
	if err := a.SetEndpoint(b.key.Public(), tap.Addr); err != nil {
		t.Fatal(err)
	}
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 100))
	b.receive(t)
	data := tap.AwaitData(t)
	w := b.Recorder().Subscribe(probe.SubscribeOptions{})
	defer w.Close()

	forged := bytes.Clone(data)
	binary.LittleEndian.PutUint64(forged[8:], 1000) // a fresh counter
	forged[20] ^= 1
	stranger := bytes.Clone(data)
	stranger[4] ^= 0xff
	long := append(bytes.Clone(tap.AwaitInitiation(t)), 0)
	for _, c := range []struct {
		want probe.Reason
		msg  []byte
		peer bool
	}{
		{probe.Replayed, data, true},
		{probe.AuthenticationFailed, forged, true},
		{probe.UnknownIndex, stranger, false},
		{probe.TooShort, data[:20], false},
		{probe.BadLength, long, false},
		{probe.UnknownType, append([]byte{9}, data[1:]...), false},
	} {
		tap.Inject(t, c.msg)
		e := tunneltest.Await(t, w, c.want.String(), func(e *probe.Event) bool { return e.Reason != probe.ReasonNone })
		if tunneltest.Race && c.want == probe.AuthenticationFailed && e.Reason == probe.LostInDevice {
			c.want = e.Reason // the buffer was thrown away
		}
		if e.Reason != c.want {
			t.Errorf("got %v, want %v", e.Reason, c.want)
		}
		if (e.Peer != 0) != c.peer {
			t.Errorf("%v: counted for peer %d", c.want, e.Peer)
		}
		if n := b.PeerState(e.Peer).Drops[c.want]; n != 1 {
			t.Errorf("%v: counted %d times", c.want, n)
		}
	}
}

// A source address outside the peer's AllowedIPs is named.
func TestDisallowedSource(t *testing.T) {
	a, b := pair(t, nil)
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
	b.receive(t)
	w := b.Recorder().Subscribe(probe.SubscribeOptions{})
	defer w.Close()
	spoofed := b.addr.Next()
	a.send(tunneltest.UDP4(spoofed, b.addr, 7, 7, 8))
	e := tunneltest.Await(t, w, "disallowed-source", func(e *probe.Event) bool { return e.Reason == probe.DisallowedSource })
	src, _ := e.Inner()
	if tunneltest.Race && !src.IsValid() {
		t.Skip("the race detector made the device's pool throw the packet away")
	}
	if src.Addr() != spoofed || e.Peer == 0 {
		t.Errorf("named %v of peer %d, want %v", src, e.Peer, spoofed)
	}
}

// Multicast that a host sends by itself is told from packets that somebody misses: on its way
// into a tunnel none of whose peers has it, and from a source that the peer may not have.
func TestLinkScope(t *testing.T) {
	a, b := pair(t, nil)
	for _, c := range []struct {
		dst  string
		want probe.Reason
	}{{"224.0.0.251", probe.LinkScope}, {"255.255.255.255", probe.LinkScope}, {"10.9.9.9", probe.NoAllowedIPsMatch}} {
		a.send(tunneltest.UDP4(a.addr, ip(c.dst), 5353, 5353, 8))
		awaitCount(t, a, 0, c.want)
	}
	if n := a.PeerState(0).Drops; n[probe.LinkScope] != 2 || n[probe.NoAllowedIPsMatch] != 1 {
		t.Errorf("counted %v", n)
	}
	if err := a.set(fmt.Sprintf("public_key=%s\nallowed_ip=224.0.0.0/4\n", b.key.Public().Hex())); err != nil {
		t.Fatal(err)
	}
	w := b.Recorder().Subscribe(probe.SubscribeOptions{})
	defer w.Close()
	for _, c := range []struct{ src, dst string }{{"192.0.2.7", "224.0.0.251"}, {"169.254.7.7", b.addr.String()}} {
		a.send(tunneltest.UDP4(ip(c.src), ip(c.dst), 5353, 5353, 8))
		e := tunneltest.Await(t, w, "a drop", func(e *probe.Event) bool { return e.Dropped() })
		if tunneltest.Race && e.Reason == probe.DisallowedSource {
			t.Skip("the race detector made the device's pool throw the packet away")
		}
		if e.Reason != probe.LinkScope || b.PeerState(e.Peer).Drops[probe.DisallowedSource] != 0 {
			t.Errorf("%s > %s dropped for %v: %v", c.src, c.dst, e.Reason, b.PeerState(e.Peer).Drops)
		}
	}
}

// awaitCount waits until a drop of a peer's is counted.
func awaitCount(t *testing.T, e *end, id probe.PeerID, why probe.Reason) {
	t.Helper()
	until(t, "a drop for "+why.String(), func() bool { return e.PeerState(id).Drops[why] > 0 })
}

// While there is no session the device keeps 128 batches; the oldest give way.
func TestStagedOverflow(t *testing.T) {
	a, _ := pair(t, func(ca, _ *Config) { ca.Peers[0].Endpoint = tunneltest.Silent(t) })
	w := a.Recorder().Subscribe(probe.SubscribeOptions{})
	defer w.Close()
	const sent = 140
	for i := range sent {
		a.send(tunneltest.UDP4(a.addr, ip("10.0.0.2"), uint16(i+1), 9, 8))
	}
	for i := range sent - device.QueueStagedSize {
		e := tunneltest.Await(t, w, "staged-overflow", func(e *probe.Event) bool { return e.Reason == probe.StagedOverflow })
		if src, _ := e.Inner(); int(src.Port()) != i+1 {
			t.Errorf("drop %d was that of port %d", i, src.Port())
		}
	}
	if s := a.PeerState(1); s.Waiting != device.QueueStagedSize {
		t.Errorf("%d packets wait, want %d", s.Waiting, device.QueueStagedSize)
	}
}

// What is dropped is answered by the host, in its own name, if it can; the message says
// why, and nothing comes out of the tunnel beside it.
func TestHostAnswersForTheNode(t *testing.T) {
	type sent struct {
		to      netip.Addr
		message []byte
	}
	for _, fails := range []bool{false, true} {
		answers := make(chan sent, 1)
		dev := tunneltest.NewTUN()
		tn, err := New(dev, testBind(), Options{RecorderBytes: probe.MinRecorderBytes, SendICMP: func(to netip.Addr, message []byte) error {
			if fails {
				return syscall.EPERM
			}
			answers <- sent{to, message}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(tn.Close)
		e := &end{Tunnel: tn, tun: dev, key: key.GeneratePrivate(), addr: ip("10.0.0.1")}
		e.start(t, Config{PrivateKey: e.key})
		e.send(tunneltest.UDP4(e.addr, ip("10.9.9.9"), 5, 6, 8))
		var got probe.Event
		got.Kind = probe.KindInner
		if fails {
			got.DecodeInner(e.receive(t)) // in the name of the destination
		} else {
			a := patience.Receive(t, "an answer by the host", answers)
			if a.to != e.addr || probe.Checksum(a.message) != 0 {
				t.Errorf("to %s: %x", a.to, a.message)
			}
			got.DecodeInner(refuse.Outside(ip("10.0.0.7"), a.to, a.message)[tag.Headroom:])
		}
		_, from, to, _ := got.Quoted()
		if why, ok := got.NodeSays(); !ok || why != probe.NoAllowedIPsMatch || from.String() != "10.0.0.1:5" || to.String() != "10.9.9.9:6" {
			t.Errorf("fails %v: %v about %s > %s", fails, why, from, to)
		}
	}
}

func TestNoMatchAndNoEndpoint(t *testing.T) {
	a, b := pair(t, nil)
	w := b.Recorder().Subscribe(probe.SubscribeOptions{})
	defer w.Close()
	for _, c := range []struct {
		dst  string
		want probe.Reason
	}{{"10.9.9.9", probe.NoAllowedIPsMatch}, {a.addr.String(), probe.NoEndpoint}} {
		b.send(tunneltest.UDP4(b.addr, ip(c.dst), 5, 6, 8))
		e := tunneltest.Await(t, w, c.want.String(), func(e *probe.Event) bool { return e.Seam == probe.SeamTUNRead })
		if e.Reason != c.want {
			t.Errorf("to %s: %v, want %v", c.dst, e.Reason, c.want)
		}
		icmp := b.receive(t)
		if icmp[9] != 1 || icmp[20] != 3 || icmp[21] != 1 {
			t.Errorf("to %s: answered %x, want ICMP host unreachable", c.dst, icmp[:28])
		}
		if probe.Checksum(icmp[:20]) != 0 || probe.Checksum(icmp[20:]) != 0 {
			t.Errorf("to %s: wrong checksum in %x", c.dst, icmp)
		}
	}
}

func TestHandshakeReasons(t *testing.T) {
	stranger := newEnd(t, "10.0.0.3")
	for _, c := range []struct {
		name string
		edit func(a, b *Config)
		want probe.Reason
		here bool // seen by a, the initiator
	}{
		{name: "unknown peer", edit: func(_, b *Config) { b.Peers = nil }, want: probe.UnknownPeer},
		{name: "wrong public key", edit: func(a, _ *Config) { a.Peers[0].PublicKey = stranger.key.Public() }, want: probe.InvalidMAC1},
		{name: "preshared key", edit: func(_, b *Config) { b.Peers[0].PresharedKey[0] = 1 }, want: probe.ResponseRejected, here: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := pair(t, func(ca, cb *Config) { c.edit(ca, cb) })
			if c.want == probe.InvalidMAC1 {
				if err := a.SetEndpoint(stranger.key.Public(), b.endpoint()); err != nil {
					t.Fatal(err)
				}
			}
			seer := b
			if c.here {
				seer = a
			}
			w := seer.Recorder().Subscribe(probe.SubscribeOptions{Past: true})
			defer w.Close()
			a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
			e := tunneltest.Await(t, w, c.want.String(), func(e *probe.Event) bool { return e.Reason != probe.ReasonNone })
			if e.Reason != c.want {
				t.Errorf("%v, want %v", e.Reason, c.want)
			}
			if k, ok := e.StaticKey(); ok != (c.want == probe.UnknownPeer) || ok && k != a.key.Public() {
				t.Errorf("static key %x, %v", k, ok)
			}
		})
	}
}

// The endpoint follows the peer, and the change is told with old and new.
func TestEndpointMoves(t *testing.T) {
	a, b := pair(t, nil)
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
	b.receive(t)
	w := b.Recorder().Subscribe(probe.SubscribeOptions{})
	defer w.Close()
	old := b.PeerState(1).Endpoint
	tap := tunneltest.NewRelay(t, b.endpoint())
	began := time.Now().Add(-time.Millisecond) // events are a clock's tick apart
	if err := a.SetEndpoint(b.key.Public(), tap.Addr); err != nil {
		t.Fatal(err)
	}
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
	e := tunneltest.Await(t, w, "endpoint", func(e *probe.Event) bool { return e.Kind == probe.KindEndpoint })
	from, to := e.Outer()
	if from != old || to != tap.Outside() || e.Peer != 1 {
		t.Errorf("moved %v -> %v, want %v -> %v", from, to, old, tap.Outside())
	}
	if when := e.When(); when.Before(began) || when.After(time.Now().Add(time.Millisecond)) {
		t.Errorf("at %v", when)
	}
}
