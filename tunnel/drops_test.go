package tunnel

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.zx2c4.com/wireguard/device"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/tunnel/internal/seam"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
)

// awaitDrops waits until n packets of peer 1 are counted as dropped for want.
func awaitDrops(t *testing.T, e *end, want probe.Reason, n uint64) {
	t.Helper()
	until(t, fmt.Sprintf("%d drops for %v", n, want), func() bool { return e.PeerState(1).Drops[want] == n })
}

// until waits for a condition that no event announces.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	patience.Until(t, what, ok)
}

// What waits for a session when the device gives up the peer, or the peer is
// removed, or the tunnel goes down, is discarded, and each packet is named.
func TestWaitingPacketsAreDiscarded(t *testing.T) {
	for _, c := range []struct {
		want probe.Reason
		act  func(t *testing.T, a, b *end) error
	}{
		{probe.HandshakeGaveUp, func(t *testing.T, a, b *end) error {
			// The device takes 90 s; it says so and then does what it said.
			p := a.dev.LookupPeer(device.NoisePublicKey(b.key.Public()))
			a.watch.Logger(a.keep, nil, nil).Verbosef("%s - Handshake did not complete after %d attempts, giving up", p, 20)
			p.FlushStagedPackets()
			return nil
		}},
		{probe.PeerRemoved, func(t *testing.T, a, b *end) error {
			return a.set(fmt.Sprintf("public_key=%s\nremove=true\n", b.key.Public().Hex()))
		}},
		{probe.PeerRemoved, func(t *testing.T, a, b *end) error { return a.Down() }},
	} {
		t.Run(c.want.String(), func(t *testing.T) {
			a, b := pair(t, func(ca, _ *Config) { ca.Peers[0].Endpoint = tunneltest.Silent(t) })
			w := a.Recorder().Subscribe(probe.SubscribeOptions{Match: func(e *probe.Event) bool { return e.Seam == probe.SeamDevice }})
			defer w.Close()
			for i := range 3 {
				a.send(tunneltest.UDP4(a.addr, b.addr, uint16(i+1), 9, 8))
			}
			until(t, "3 packets wait", func() bool { return a.PeerState(1).Waiting == 3 })
			if err := c.act(t, a, b); err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				e := tunneltest.Await(t, w, c.want.String(), func(e *probe.Event) bool { return e.Dropped() })
				if src, _ := e.Inner(); e.Reason != c.want || int(src.Port()) != i+1 || e.Peer != 1 {
					t.Errorf("drop %d: %v of port %d, peer %d", i, e.Reason, src.Port(), e.Peer)
				}
			}
			if s := a.PeerState(1); s.Waiting != 0 || s.Drops[c.want] != 3 {
				t.Errorf("%d wait, drops %v", s.Waiting, s.Drops)
			}
		})
	}
}

// A session that this end has forgotten: its index is known to have been the
// peer's, so that the drops are the peer's.
func TestForgottenSession(t *testing.T) {
	a, b := pair(t, nil)
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
	b.receive(t)
	k := a.key.Public().Hex()
	if err := b.set(fmt.Sprintf("public_key=%s\nremove=true\npublic_key=%s\nallowed_ip=%s/32\n", k, k, a.addr)); err != nil {
		t.Fatal(err)
	}
	w := b.Recorder().Subscribe(probe.SubscribeOptions{})
	defer w.Close()
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
	e := tunneltest.Await(t, w, "unknown-index", func(e *probe.Event) bool { return e.Dropped() })
	if e.Reason != probe.UnknownIndex || e.Peer != 1 || e.Receiver == 0 {
		t.Errorf("%v of peer %d, receiver %#x", e.Reason, e.Peer, e.Receiver)
	}
	// A session that is past its time is told from one that is not known.
	b.m.Local.Add(e.Receiver, e.Peer+1, false, 1)
	b.m.Local.Add(e.Receiver, e.Peer, false, time.Now().Add(-device.RejectAfterTime).UnixNano())
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
	awaitDrops(t, b, probe.ExpiredKey, 1)
	awaitDrops(t, b, probe.UnknownIndex, 1)
}

func TestHandshakeReplay(t *testing.T) {
	a, b := pair(t, nil)
	tap := tunneltest.NewRelay(t, b.endpoint())
	if err := a.SetEndpoint(b.key.Public(), tap.Addr); err != nil {
		t.Fatal(err)
	}
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
	b.receive(t)
	tap.Inject(t, tap.AwaitInitiation(t))
	awaitDrops(t, b, probe.HandshakeReplay, 1)
	if s := b.PeerState(1); len(s.Drops) != 1 {
		t.Errorf("drops: %v", s.Drops)
	}
}

// Under a flood of handshakes the device answers with cookies. The flood is
// counted, costs this node no more than it must, and does not harm a session.
func TestHandshakeFlood(t *testing.T) {
	a, b := pair(t, nil)
	tap := tunneltest.NewRelay(t, b.endpoint())
	if err := a.SetEndpoint(b.key.Public(), tap.Addr); err != nil {
		t.Fatal(err)
	}
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
	b.receive(t)
	initiation := tap.AwaitInitiation(t)
	wb := b.Recorder().Subscribe(probe.SubscribeOptions{})
	wa := a.Recorder().Subscribe(probe.SubscribeOptions{})
	defer wb.Close()
	defer wa.Close()
	done := func() bool {
		return b.PeerState(0).Drops[probe.UnderLoad] > 0 && b.Counters().Uninspected > 0
	}
	for n := 0; n < 100_000 && !done(); n += 200 {
		for range 200 {
			tap.Inject(t, initiation)
		}
		runtime.Gosched()
	}
	e := tunneltest.Await(t, wb, "under-load", func(e *probe.Event) bool { return e.Reason == probe.UnderLoad })
	if from, _ := e.Outer(); from != tap.Outside() || e.Kind != probe.KindInitiation {
		t.Errorf("%v from %v, want an initiation from %v", e.Kind, from, tap.Outside())
	}
	e = tunneltest.Await(t, wa, "cookie", func(e *probe.Event) bool { return e.Kind == probe.KindCookie })
	if e.Checkpoint != probe.A3 || e.Peer != 1 {
		t.Errorf("cookie at %v, peer %d", e.Checkpoint, e.Peer)
	}
	if b.Counters().Uninspected == 0 {
		t.Error("every initiation of the flood was decrypted")
	}
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
	b.receive(t)
}

// Keepalives come in and are never written to the TUN device. They are no
// drops.
func TestKeepalivesAreNoDrops(t *testing.T) {
	a, b := pair(t, func(ca, _ *Config) { ca.Peers[0].PersistentKeepalive = 1 })
	w := b.Recorder().Subscribe(probe.SubscribeOptions{})
	defer w.Close()
	for range 3 {
		e := tunneltest.Await(t, w, "keepalive", func(e *probe.Event) bool {
			return e.Kind == probe.KindKeepalive && e.Seam == probe.SeamUDPReceive
		})
		if e.Peer != 1 || e.Dropped() {
			t.Errorf("peer %d, %v", e.Peer, e.Reason)
		}
	}
	p := b.m.Peers.Get(1)
	until(t, "the keepalives are accounted for", func() bool {
		return p.In[0].Left.Load() == p.In[0].Entered.Load() && p.In[1].Left.Load() == p.In[1].Entered.Load() && p.Keepalives.Load() == 0
	})
	for _, e := range []*end{a, b} {
		if s := e.PeerState(1); len(s.Drops) != 0 {
			t.Errorf("drops: %v", s.Drops)
		}
	}
}

// A tunnel that is closed leaves no goroutine behind.
func TestCloseLeavesNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	a, b := newEnd(t, "10.0.0.1"), newEnd(t, "10.0.0.2")
	b.start(t, b.configFor(a))
	c := a.configFor(b)
	c.Peers[0].Endpoint = b.endpoint()
	a.start(t, c)
	s := a.Recorder().Subscribe(probe.SubscribeOptions{})
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
	b.receive(t)
	s.Close()
	for _, e := range []*end{a, b} {
		e.Close()
		e.Close() // harmless
		<-e.Wait()
	}
	goleak.VerifyNone(t, before)
}

// A host that sends a peer without a session far more than anybody waits for does not
// fill the memory; the latest packet is always taken, others go on, and all that are not
// sent are counted.
func TestStagedPacketsAreFew(t *testing.T) {
	t.Parallel() // it waits for the device to call again
	a, b := pair(t, nil)
	if err := a.SetEndpoint(b.key.Public(), tunneltest.Silent(t)); err != nil {
		t.Fatal(err)
	}
	const batches, size = 200, 64
	peer := a.m.Peers.Find(b.key.Public())
	for i := range batches {
		var pkts [][]byte
		for j := range size {
			pkts = append(pkts, tunneltest.UDP4(a.addr, b.addr, uint16(i+1), uint16(j+1), 1000))
		}
		a.send(pkts...)
		if i == batches/2 {
			time.Sleep(10 * time.Millisecond) // for longer than a peer may be still, by the clock that the seams go by
		}
	}
	a.send(tunneltest.UDP4(a.addr, b.addr, 9999, 1, 8)) // the one before was read by now
	if n := peer.Out.Inside(); n > seam.MaxInside+2*batches {
		t.Errorf("%d packets are inside", n)
	}
	if dropped := a.PeerState(peer.ID).Drops[probe.StagedOverflow]; dropped < (batches/2-1)*(size-1) {
		t.Errorf("%d packets are counted as dropped", dropped)
	}
	if err := a.SetEndpoint(b.key.Public(), b.endpoint()); err != nil {
		t.Fatal(err)
	}
	deadline := patience.After() // the device calls again after 5
	for {
		select {
		case p := <-b.tun.Out:
			var e probe.Event
			if e.DecodeInner(p); e.InnerSrcPort == 9999 {
				return
			}
		case <-deadline:
			t.Fatal("the latest packet did not come")
		}
	}
}
