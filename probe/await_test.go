package probe

import (
	"context"
	"errors"
	"testing"

	"github.com/wgnode/wgnode/probe/patience"
)

// Who awaits an event of one lane sleeps through what passes in others, misses none, and ends with
// its context.
func TestAwait(t *testing.T) {
	r := newTestRecorder(t, MinRecorderBytes)
	ctx, stop := context.WithCancel(patience.Context(t))
	defer stop()
	const events = 1000
	got := make(chan uint64, events)
	ended := make(chan error, 1)
	go func() {
		seen := uint64(0)
		for {
			last, err := r.Await(ctx, LaneControl, seen)
			if err != nil {
				ended <- err
				return
			}
			seen = last
			got <- seen
		}
	}()
	for i := range uint64(events) {
		r.Record(LaneTUNRead, &Event{})
		seq := r.Record(LaneControl, &Event{})
		if i%2 == 0 { // else it may come with the next
			for told := uint64(0); told < seq; {
				select {
				case told = <-got:
				case err := <-ended:
					t.Fatalf("Await ended before event %d: %v", seq, err)
				}
			}
		}
	}
	r.Record(LaneTUNRead, &Event{})
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Await ended with %v", err)
	}
	close(got)
	last := uint64(events - 1)
	for seq := range got {
		last = seq
	}
	if last > events {
		t.Errorf("Await told of event %d of %d", last, events)
	}
}
