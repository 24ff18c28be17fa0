package seam

import (
	"testing"
	"time"

	"github.com/wgnode/wgnode/tunnel/internal/mirror"
)

// Whoever waits for room gets it as packets leave, and does not wait where none do.
func TestGate(t *testing.T) {
	var w mirror.Way
	var g gate
	g.enter(&w, 2*MaxInside)
	done := make(chan struct{})
	go func() { g.wait(); close(done) }()
	for left := uint64(0); left < MaxInside; left += 8 {
		w.Left.Store(left)
		select {
		case <-done:
			if w.Inside() > 2*MaxInside-8 {
				t.Fatal("it did not wait")
			}
			left = MaxInside // it may give up on a machine that stands still
		case <-time.After(roomPause / 4):
		}
	}
	w.Left.Store(MaxInside)
	<-done
	// Nothing leaves: it gives up, and does not try again before something does.
	g.enter(&w, 4*MaxInside)
	g.wait()
	if g.still != &w {
		t.Error("it is not known that nothing leaves")
	}
	g.enter(&w, 4*MaxInside+insideEvery)
	if g.crowded != &w {
		t.Error("a crowd is not noticed")
	}
	g.wait() // at once
}
