package probe

import "testing"

// An event is found by its Seq for as long as it is held.
func TestFind(t *testing.T) {
	r := newTestRecorder(t, MinRecorderBytes)
	n := 2*perLane(r) + 17
	for i := range n {
		r.Record(LaneUDPReceive, &Event{Time: int64(i + 1), Seam: SeamUDPReceive})
	}
	for seq := n; seq > n-perLane(r)+2*blockEvents; seq-- {
		if e, ok := r.Find(LaneUDPReceive, seq); !ok || e.Seq != seq || e.Time != int64(seq) {
			t.Errorf("event %d: %d, %t", seq, e.Seq, ok)
		}
	}
	for _, seq := range []uint64{0, 1, n + 1} {
		if e, ok := r.Find(LaneUDPReceive, seq); ok {
			t.Errorf("event %d is said to be %d", seq, e.Seq)
		}
	}
}

// A plain subscription has what its reader wants, of all lanes, receipts as they were recorded.
func TestPlainSubscription(t *testing.T) {
	r := newTestRecorder(t, MinRecorderBytes)
	s := r.Subscribe(SubscribeOptions{Plain: true, Match: func(e *Event) bool { return e.Counter == 1 }})
	defer s.Close()
	for i := range 4 {
		r.Record(LaneUDPReceive, &Event{Time: int64(10*i + 1), Seam: SeamUDPReceive, Kind: KindData, Counter: uint64(i % 2)})
		r.Record(LaneTUNWrite, &Event{Time: int64(10*i + 2), Seam: SeamTUNWrite, Kind: KindInner, Pair: uint64(i + 1), Counter: uint64(i % 2)})
	}
	got := drain(t, s, 4)
	for i := range got {
		if e := &got[i]; e.Counter != 1 || e.Checkpoint != CheckpointNone || i > 0 && got[i-1].Time > e.Time {
			t.Errorf("event %d: %+v", i, e)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	r := newTestRecorder(b, DefaultRecorderBytes)
	n := 3 * perLane(r)
	for i := range n {
		r.Record(LaneUDPReceive, &Event{Time: int64(i + 1), Seam: SeamUDPReceive})
	}
	for b.Loop() {
		if _, ok := r.Find(LaneUDPReceive, n-perLane(r)/2); !ok {
			b.Fatal("not found")
		}
	}
}
