package probe

import (
	"sync"
	"testing"
)

func TestPassed(t *testing.T) {
	r := newTestRecorder(t, MinRecorderBytes)
	const n = 5*minBlocks*blockEvents + 7 // many times round
	record := func(id Lane, events ...Event) {
		for i := range n {
			r.Record(id, &events[i%len(events)])
		}
	}
	var writers sync.WaitGroup
	writers.Go(func() {
		record(LaneTUNRead, Event{Seam: SeamTUNRead, Kind: KindInner, Checkpoint: A1},
			Event{Seam: SeamTUNRead, Kind: KindInner, Checkpoint: A1, Reason: NoEndpoint})
	})
	writers.Go(func() { record(LaneTUNWrite, Event{Seam: SeamTUNWrite, Kind: KindInner, Checkpoint: B4}) })
	writers.Go(func() {
		record(LaneUDPSend, Event{Seam: SeamUDPSend, Kind: KindKeepalive, Checkpoint: A4},
			Event{Seam: SeamUDPSend, Kind: KindData, Checkpoint: B8})
	})
	writers.Go(func() { record(LaneUDPReceive, Event{Seam: SeamUDPReceive, Kind: KindData, Checkpoint: A5}) })
	writers.Go(func() {
		record(LaneControl, Event{Seam: SeamUDPSend, Kind: KindInitiation, Checkpoint: A2},
			Event{Seam: SeamDevice, Kind: KindResponse, Checkpoint: A3})
	})
	written := make(chan struct{})
	go func() { writers.Wait(); close(written) }()
	var last Tally
	for done := false; !done; {
		select {
		case <-written:
			done = true
		default:
		}
		now := r.Passed()
		for c := range now {
			if now[c] < last[c] {
				t.Fatalf("%v: %d after %d", Checkpoint(c), now[c], last[c])
			}
		}
		last = now
	}
	want := Tally{A1: (n + 1) / 2, A2: (n + 1) / 2, B3: n, B4: n, B8: n / 2}
	if last != want {
		t.Errorf("got %v, want %v", last, want)
	}
}

// What found no room is not counted, and nothing is counted twice for it.
func TestPassedWithoutRoom(t *testing.T) {
	r := newTestRecorder(t, MinRecorderBytes)
	e := Event{Seam: SeamTUNRead, Kind: KindInner, Checkpoint: A1}
	l := &r.lanes[LaneTUNRead]
	for i := range l.blocks {
		l.blocks[i].mu.Lock()
	}
	for range 3 * blockEvents {
		r.Record(LaneTUNRead, &e)
	}
	for i := range l.blocks {
		l.blocks[i].mu.Unlock()
	}
	r.Record(LaneTUNRead, &e)
	if got, want := r.Passed()[A1], uint64(blockEvents+1); got != want || r.Recorded()-r.Lost() != want {
		t.Errorf("counted %d of %d recorded and %d lost, want %d", got, r.Recorded(), r.Lost(), want)
	}
}
