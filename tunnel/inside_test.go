package tunnel

import (
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/tunnel/internal/mirror"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
)

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
			time.Sleep(2 * time.Duration(stillFor)) // by the clock that the seams go by
		}
	}
	a.send(tunneltest.UDP4(a.addr, b.addr, 9999, 1, 8)) // the one before was read by now
	if n := peer.Out.Inside(); n > maxInside+2*batches {
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

// Whoever waits for room gets it as packets leave, and does not wait where none do.
func TestGate(t *testing.T) {
	var w mirror.Way
	var g gate
	g.enter(&w, 2*maxInside)
	done := make(chan struct{})
	go func() { g.wait(); close(done) }()
	for left := uint64(0); left < maxInside; left += 8 {
		w.Left.Store(left)
		select {
		case <-done:
			if w.Inside() > 2*maxInside-8 {
				t.Fatal("it did not wait")
			}
			left = maxInside // it may give up on a machine that stands still
		case <-time.After(roomPause / 4):
		}
	}
	w.Left.Store(maxInside)
	<-done
	// Nothing leaves: it gives up, and does not try again before something does.
	g.enter(&w, 4*maxInside)
	g.wait()
	if g.still != &w {
		t.Error("it is not known that nothing leaves")
	}
	g.enter(&w, 4*maxInside+insideEvery)
	if g.crowded != &w {
		t.Error("a crowd is not noticed")
	}
	g.wait() // at once
}
