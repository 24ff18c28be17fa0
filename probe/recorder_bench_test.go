package probe

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func BenchmarkRecord(b *testing.B) {
	r, err := NewRecorder(DefaultRecorderBytes)
	if err != nil {
		b.Fatal(err)
	}
	e := Event{Time: 1}
	b.ReportAllocs()
	for b.Loop() {
		r.Record(LaneTUNRead, &e)
	}
}

// BenchmarkSnapshot is of a full recorder of the default size.
func BenchmarkSnapshot(b *testing.B) {
	r, err := NewRecorder(DefaultRecorderBytes)
	if err != nil {
		b.Fatal(err)
	}
	for i := range int64(2 * perLane(r)) {
		at := 1e18 + i*1000
		r.Record(LaneTUNRead, &Event{Time: at, Seam: SeamTUNRead})
		r.Record(LaneUDPSend, &Event{Time: at + 100, Seam: SeamUDPSend})
		pair := r.Record(LaneUDPReceive, &Event{Time: at + 200, Seam: SeamUDPReceive, Kind: KindData})
		r.Record(LaneTUNWrite, &Event{Time: at + 300, Seam: SeamTUNWrite, Pair: pair, InnerLen: 100})
		r.Record(LaneControl, &Event{Time: at + 400, Seam: SeamDevice})
	}
	for b.Loop() {
		if len(r.Snapshot(time.Time{}, nil)) < 100_000 {
			b.Fatal("too few events")
		}
	}
}

// BenchmarkSubscription reads a backlog as a watcher does that was held up.
func BenchmarkSubscription(b *testing.B) {
	r, err := NewRecorder(DefaultRecorderBytes)
	if err != nil {
		b.Fatal(err)
	}
	n := int64(perLane(r)) - blockEvents
	for i := range n {
		at := 1e18 + i*1000
		r.Record(LaneTUNRead, &Event{Time: at, Seam: SeamTUNRead})
		r.Record(LaneUDPSend, &Event{Time: at + 100, Seam: SeamUDPSend, Kind: KindData, Pair: uint64(i + 1)})
		pair := r.Record(LaneUDPReceive, &Event{Time: at + 200, Seam: SeamUDPReceive, Kind: KindData})
		r.Record(LaneTUNWrite, &Event{Time: at + 300, Seam: SeamTUNWrite, Pair: pair, InnerLen: 100})
	}
	buf := make([]Event, 1024)
	for _, every := range []int64{1, 100} {
		b.Run(fmt.Sprintf("every=%d", every), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := r.Subscribe(SubscribeOptions{Past: true, Every: uint64(every)})
				for read := int64(0); read < 4*(n/every); {
					k, err := s.Read(context.Background(), buf)
					if err != nil {
						b.Fatal(err)
					}
					read += int64(k)
				}
				s.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(4*n), "ns/event")
		})
	}
}
