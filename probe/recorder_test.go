package probe

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe/patience"
)

func newTestRecorder(t testing.TB, bytes int) *Recorder {
	t.Helper()
	r, err := NewRecorder(bytes)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// perLane is how many events each lane of r holds at most.
func perLane(r *Recorder) uint64 { return uint64(len(r.lanes[0].blocks)) * blockEvents }

// drain reads until n events have come or lost, in all.
func drain(t *testing.T, s *Subscription, n uint64) []Event {
	t.Helper()
	ctx := patience.Context(t)
	var all []Event
	buf := make([]Event, 100)
	for uint64(len(all))+s.Lost() < n {
		k, err := s.Read(ctx, buf)
		if err != nil {
			t.Fatalf("after %d events, %d lost: %v", len(all), s.Lost(), err)
		}
		all = append(all, buf[:k]...)
	}
	return all
}

func TestRecorderSize(t *testing.T) {
	if _, err := NewRecorder(MinRecorderBytes - 1); err == nil {
		t.Error("too small a recorder was made")
	}
	for _, size := range []int{MinRecorderBytes, DefaultRecorderBytes} {
		if r := newTestRecorder(t, size); r.Bytes() > size || r.Bytes() < size*9/10 {
			t.Errorf("asked for %d bytes, takes %d", size, r.Bytes())
		}
	}
}

// A reader that was too slow gets the latest events, and is told exactly how
// many it missed.
func TestRecorderWraps(t *testing.T) {
	r := newTestRecorder(t, MinRecorderBytes)
	s := r.Subscribe(SubscribeOptions{})
	defer s.Close()
	n := 3*perLane(r) + 17
	for i := range n {
		if seq := r.Record(LaneControl, &Event{Counter: i}); seq != i+1 {
			t.Fatalf("event %d got Seq %d", i, seq)
		}
	}
	got := drain(t, s, n)
	if s.Lost() == 0 || s.Lost()+uint64(len(got)) != n {
		t.Errorf("%d read and %d lost of %d", len(got), s.Lost(), n)
	}
	for i, e := range got {
		if want := s.Lost() + uint64(i); e.Counter != want || e.Seq != want+1 {
			t.Fatalf("event %d: number %d, Seq %d, want %d", i, e.Counter, e.Seq, want)
		}
	}
	if uint64(len(got)) < perLane(r)-blockEvents {
		t.Errorf("only %d events held, want nearly %d", len(got), perLane(r))
	}
	if r.Recorded() != n || r.Lost() != 0 {
		t.Errorf("recorded %d, lost %d", r.Recorded(), r.Lost())
	}
}

// Producers on all lanes and readers at once: nobody sees an event twice, out
// of order or half-written, and what is missing is counted.
func TestRecorderConcurrently(t *testing.T) {
	const each, producers = 20000, 2
	r := newTestRecorder(t, MinRecorderBytes)
	subs := make([]*Subscription, 3)
	for i := range subs {
		subs[i] = r.Subscribe(SubscribeOptions{})
		defer subs[i].Close()
	}
	var wg sync.WaitGroup
	for lane := range numLanes {
		for range producers {
			wg.Go(func() {
				for n := 0; n < each; n += 50 {
					b := r.Begin(lane)
					for range 50 {
						e := b.Next()
						*e = Event{Seq: e.Seq, Time: 1, Counter: e.Seq, Pair: ^uint64(0), Peer: PeerID(lane), Kind: KindKeepalive}
					}
					b.End()
				}
			})
		}
	}
	for _, s := range subs {
		wg.Go(func() {
			var last [numLanes]uint64
			for _, e := range drain(t, s, each*producers*uint64(numLanes)) {
				if e.Counter != e.Seq || e.Seq <= last[e.Peer] {
					t.Errorf("lane %d: Seq %d with counter %d after %d", e.Peer, e.Seq, e.Counter, last[e.Peer])
					return
				}
				last[e.Peer] = e.Seq
			}
		})
	}
	wg.Wait()
	if n := r.Recorded(); n != each*producers*uint64(numLanes) {
		t.Errorf("%d events recorded", n)
	}
}

// Producers skip a block that a reader holds, and when readers hold them all
// they count what they cannot record. They never wait: this test would hang.
func TestReaderNeverBlocksProducers(t *testing.T) {
	r := newTestRecorder(t, MinRecorderBytes)
	l := &r.lanes[LaneControl]
	held := &l.blocks[3]
	held.mu.Lock()
	n := 2 * perLane(r)
	for i := range n {
		r.Record(LaneControl, &Event{Counter: i})
	}
	if r.Lost() != 0 {
		t.Errorf("one block held: %d events lost", r.Lost())
	}
	for i := range l.blocks {
		if b := &l.blocks[i]; b != held {
			b.mu.Lock()
		}
	}
	room := uint64(blockEvents - l.fill)
	for i := range room + 10 {
		r.Record(LaneControl, &Event{Counter: n + i})
	}
	if r.Lost() != 10 {
		t.Errorf("all blocks held, room for %d of %d events: %d lost", room, room+10, r.Lost())
	}
	for i := range l.blocks {
		l.blocks[i].mu.Unlock()
	}
	r.Record(LaneControl, &Event{Counter: n + room + 10})
	events := r.Snapshot(time.Time{}, nil)
	if last := events[len(events)-1]; last.Counter != n+room+10 || last.Seq != last.Counter+1 {
		t.Errorf("the event after the loss: number %d, Seq %d", last.Counter, last.Seq)
	}
	for i := range events[1:] {
		if events[i].Seq >= events[i+1].Seq {
			t.Fatalf("Seq %d before %d", events[i].Seq, events[i+1].Seq)
		}
	}
}

func TestScan(t *testing.T) {
	r := newTestRecorder(t, MinRecorderBytes)
	n := perLane(r) + 100
	for i := range n {
		r.Record(LaneTUNRead, &Event{Counter: i})
	}
	next := uint64(0)
	r.Scan(LaneTUNRead, func(e *Event) bool {
		if next != 0 && e.Counter != next {
			t.Fatalf("%d follows %d", e.Counter, next-1)
		}
		next = e.Counter + 1
		return true
	})
	if next != n {
		t.Errorf("ended before %d, want %d", next, n)
	}
	calls := 0
	r.Scan(LaneTUNRead, func(*Event) bool { calls++; return calls < 3 })
	if calls != 3 {
		t.Errorf("%d calls after the function said to stop", calls)
	}
}

func TestSubscriptionWakesAndEnds(t *testing.T) {
	r := newTestRecorder(t, MinRecorderBytes)
	r.Record(LaneControl, &Event{Time: 1, Counter: 1})
	s := r.Subscribe(SubscribeOptions{Match: func(e *Event) bool { return e.Counter != 2 }})
	type result struct {
		e   Event
		err error
	}
	results := make(chan result)
	read := func() {
		var e [1]Event
		_, err := s.Read(t.Context(), e[:])
		results <- result{e[0], err}
	}
	go read()
	awaitSleeper(t, r)
	r.Record(LaneControl, &Event{Time: 2, Counter: 2}) // not matched
	r.Record(LaneTUNRead, &Event{Time: 3, Counter: 3})
	if got := <-results; got.err != nil || got.e.Counter != 3 {
		t.Errorf("got event %d, %v, want that after the subscription began", got.e.Counter, got.err)
	}
	go read()
	awaitSleeper(t, r)
	s.Close()
	s.Close() // harmless
	if got := <-results; !errors.Is(got.err, context.Canceled) {
		t.Errorf("closed: %v", got.err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	// What an ended Read did not hand out is there for the next.
	late := r.Subscribe(SubscribeOptions{Past: true})
	defer late.Close()
	ended, end := context.WithCancel(t.Context())
	defer end()
	var e [1]Event
	for want := range []int{0, 1, 2} {
		if _, err := late.Read(t.Context(), e[:]); err != nil || e[0].Time != int64(want+1) {
			t.Errorf("event %d, %v, want event %d", e[0].Time, err, want+1)
		}
		end()
		if n, err := late.Read(ended, e[:]); n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %d events, %v", n, err)
		}
	}
	idle := r.Subscribe(SubscribeOptions{})
	defer idle.Close()
	if _, err := idle.Read(ctx, make([]Event, 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
}

// awaitSleeper waits until a subscription sleeps.
func awaitSleeper(t *testing.T, r *Recorder) {
	t.Helper()
	patience.Until(t, "a subscription to sleep", func() bool { return r.waiting.Load() != 0 })
}

// The receipt of a data message is completed from the TUN write that follows,
// however much lies between them in the recorder.
func TestReceiptIsJoinedWithWrite(t *testing.T) {
	r := newTestRecorder(t, DefaultRecorderBytes)
	const n = 3000
	var e Event
	e.DecodeInner(udpPacket(there4, here4, 53, 4000))
	e.Seam, e.Kind, e.Peer, e.Checkpoint, e.PrefixBits = SeamTUNWrite, KindInner, 2, A6, 24
	e.Flags = FlagInitiatedHere
	for i := range n {
		for range 5 {
			r.Record(LaneUDPReceive, &Event{Time: int64(i), Kind: KindKeepalive})
		}
		e.Pair = r.Record(LaneUDPReceive, &Event{Time: int64(i), Seam: SeamUDPReceive, Kind: KindData, Checkpoint: B3, Peer: 1,
			Counter: uint64(i)})
		e.Counter, e.Time = uint64(i), int64(i)
		r.Record(LaneTUNWrite, &e)
	}
	r.Record(LaneUDPReceive, &Event{Time: n, Seam: SeamUDPReceive, Kind: KindData, Checkpoint: B3, Counter: n}) // never written
	receipts := 0
	for _, got := range r.Snapshot(time.Time{}, func(e *Event) bool { return e.Kind == KindData }) {
		receipts++
		if got.Counter == n {
			if got.InnerLen != 0 || got.Checkpoint != B3 {
				t.Errorf("a receipt without a write was completed: %+v", got)
			}
			continue
		}
		if got.InnerSrc != e.InnerSrc || got.InnerDstPort != 4000 || got.Checkpoint != A5 || got.Peer != 2 ||
			got.PrefixBits != 24 || got.Seam != SeamUDPReceive {
			t.Fatalf("receipt %d: %+v", got.Counter, got)
		}
	}
	if receipts != n+1 {
		t.Errorf("%d receipts, want %d", receipts, n+1)
	}
}

// Of one packet in so many all events are there, receipts joined, and of the others
// none; what is rare is there always.
func TestSampledPackets(t *testing.T) {
	for _, every := range []uint64{1, 2, 7, 64, 100} {
		r := newTestRecorder(t, DefaultRecorderBytes)
		var others [3]*Subscription
		for i, match := range []func(*Event) bool{nil, nil, func(e *Event) bool { return e.InnerLen%3 == 0 }} {
			o := SubscribeOptions{Match: match}
			if i > 0 {
				o.Every = every
			}
			others[i] = r.Subscribe(o)
			defer others[i].Close()
		}
		const n = 10_000
		for i := range int64(n) {
			at, size := 1e18+i*1000, uint16(i)|1
			sent := r.Record(LaneTUNRead, &Event{Time: at, Seam: SeamTUNRead, InnerLen: size})
			r.Record(LaneUDPSend, &Event{Time: at + 100, Seam: SeamUDPSend, Pair: sent, Kind: KindData, InnerLen: size})
			got := r.Record(LaneUDPReceive, &Event{Time: at + 200, Seam: SeamUDPReceive, Kind: KindData})
			r.Record(LaneTUNWrite, &Event{Time: at + 300, Seam: SeamTUNWrite, Pair: got, InnerLen: size})
			if i%1000 == 0 {
				r.Record(LaneControl, &Event{Time: at + 400, Seam: SeamDevice})
				r.Record(LaneForward, &Event{Time: at + 500, Seam: SeamForward})
			}
		}
		var want [3][]Event
		for _, e := range drain(t, others[0], 4*n+20) {
			if e.Sampled(every) {
				want[1] = append(want[1], e)
				if e.InnerLen%3 == 0 {
					want[2] = append(want[2], e)
				}
			}
		}
		for i := 1; i < 3; i++ {
			if got := drain(t, others[i], uint64(len(want[i]))); !slices.Equal(got, want[i]) {
				t.Errorf("one of %d: %d events, want %d", every, len(got), len(want[i]))
			}
		}
		if packets := n / every; uint64(len(want[1])) != 4*packets+20 {
			t.Errorf("one of %d: %d events of %d packets", every, len(want[1]), packets)
		}
	}
}

func TestSnapshotOrder(t *testing.T) {
	r := newTestRecorder(t, DefaultRecorderBytes)
	// Within one instant a packet's events come in the order of the seams.
	for i := range int64(1000) {
		at := time.Unix(0, 1e18+i*1000).UnixNano()
		r.Record(LaneUDPSend, &Event{Time: at, Seam: SeamUDPSend})
		r.Record(LaneTUNRead, &Event{Time: at, Seam: SeamTUNRead})
		r.Record(LaneControl, &Event{Time: at + 500, Seam: SeamDevice})
	}
	since := time.Unix(0, 1e18+500*1000)
	events := r.Snapshot(since, func(e *Event) bool { return e.Time%3 != 0 })
	if len(events) == 0 {
		t.Fatal("nothing")
	}
	for i, e := range events {
		if e.Time < since.UnixNano() || e.Time%3 == 0 {
			t.Fatalf("event of %d was not asked for", e.Time)
		}
		if i > 0 && compareEvents(events[i-1], e) > 0 {
			t.Fatalf("%v at %d before %v at %d", events[i-1].Seam, events[i-1].Time, e.Seam, e.Time)
		}
	}
}

// What is recorded and was not read is had at once, in order, also receipts that nothing has joined
// yet. Reading goes on behind it.
func TestRest(t *testing.T) {
	r, err := NewRecorder(MinRecorderBytes)
	if err != nil {
		t.Fatal(err)
	}
	s := r.Subscribe(SubscribeOptions{})
	defer s.Close()
	now := time.Now().UnixNano()
	r.Record(LaneUDPReceive, &Event{Time: now, Seam: SeamUDPReceive, Kind: KindData, Counter: 1})
	r.Record(LaneControl, &Event{Time: now - 1, Kind: KindInitiation, Counter: 2})
	var got []uint64
	for _, e := range s.Rest() {
		got = append(got, e.Counter)
	}
	if !slices.Equal(got, []uint64{2, 1}) || len(s.Rest()) > 0 {
		t.Errorf("rest %v, and then more", got)
	}
	r.Record(LaneControl, &Event{Time: now - 2, Kind: KindInitiation, Counter: 3})
	buf := make([]Event, 8)
	if n, err := s.Read(t.Context(), buf); n != 1 || err != nil || buf[0].Counter != 3 {
		t.Errorf("read %d: %+v, %v", n, buf[:n], err)
	}
}
