package probe

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// What was recorded up to a time is read, receipts joined or known not to be, and then the reader
// is told, without waiting for anything more. What comes later is read as before.
func TestReadUntil(t *testing.T) {
	for _, c := range []struct {
		name   string
		record func(*Recorder, int64)
		want   []uint64
		took   time.Duration // at most
	}{
		{"nothing", func(*Recorder, int64) {}, nil, 2 * holdBack},
		{"events", func(r *Recorder, now int64) {
			r.Record(LaneControl, &Event{Time: now - 2, Kind: KindInitiation, Counter: 1})
			r.Record(LaneTUNRead, &Event{Time: now - 1, Counter: 2})
		}, []uint64{1, 2}, 2 * holdBack},
		{"a receipt that nothing follows", func(r *Recorder, now int64) {
			r.Record(LaneUDPReceive, &Event{Time: now - 1, Seam: SeamUDPReceive, Kind: KindData, Counter: 3})
		}, []uint64{3}, joinWait + 3*holdBack},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newTestRecorder(t, MinRecorderBytes)
				s := r.Subscribe(SubscribeOptions{})
				defer s.Close()
				began := time.Now()
				c.record(r, began.UnixNano())
				var got []uint64
				buf := make([]Event, 8)
				for {
					n, err := s.ReadUntil(t.Context(), buf, began)
					if err != nil {
						t.Fatal(err)
					}
					if n == 0 {
						break
					}
					for _, e := range buf[:n] {
						got = append(got, e.Counter)
					}
				}
				if took := time.Since(began); !slices.Equal(got, c.want) || took > c.took || took < holdBack {
					t.Errorf("read %v in %v", got, took)
				}
				r.Record(LaneControl, &Event{Time: time.Now().UnixNano(), Kind: KindInitiation, Counter: 9})
				if n, err := s.Read(t.Context(), buf); n != 1 || err != nil || buf[0].Counter != 9 {
					t.Errorf("read %d: %+v, %v", n, buf[:n], err)
				}
			})
		})
	}
}
