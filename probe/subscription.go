package probe

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// holdBack is how long a subscription keeps an event before it hands it
	// out. It is what lets events of different lanes be put in order, and the
	// receipt of a packet be joined with what was found in it.
	holdBack = 10 * time.Millisecond
	// joinWait is how much longer the receipt of a data message may wait for
	// the TUN write that belongs to it.
	joinWait = 90 * time.Millisecond
	pollSize = 4096 // events taken from a lane at a time
)

// Subscription reads events as they are recorded, in the order of their times.
// It is not safe for concurrent use, except for Lost and Close.
//
// A data message is encrypted as it is received, so that its event cannot say
// what is in it. A subscription joins it with the event of the TUN write that
// follows: the receipt then has the inner addresses and the right checkpoint.
// A receipt that no write follows comes out of order, a tenth of a second late.
type Subscription struct {
	r       *Recorder
	match   func(*Event) bool
	every   uint64
	plain   bool
	cursors [numLanes]cursor
	wakeup  chan struct{}
	closed  chan struct{}
	lost    atomic.Uint64

	buf      []Event // scratch for one lane
	ready    []Event // matched, and not handed out yet; in order of Time
	taken    int     // events at the beginning of ready that were handed out
	until    int64   // up to this time ready is complete
	received []Event // receipts that wait for their TUN write; in order of Seq
	behind   bool    // a lane held more than was taken from it last
}

// SubscribeOptions say what a subscription begins with and what it wants.
type SubscribeOptions struct {
	// Past makes it begin with what the recorder holds already.
	Past bool
	// Match, if not nil, selects events. It is called by the reader's
	// goroutine, never by a producer, and must not keep the pointer.
	Match func(*Event) bool
	// Every, if more than 1, is to leave out what is not [Event.Sampled] by it. That
	// is looked at where it was recorded, and costs next to nothing.
	Every uint64
	// Plain leaves receipts as they were recorded. Then Match looks at all events where they were
	// recorded, and what it does not want is never copied: for one who wants few of many.
	Plain bool
}

// Subscribe starts reading. Close must be called in the end.
func (r *Recorder) Subscribe(o SubscribeOptions) *Subscription {
	s := &Subscription{r: r, match: o.Match, every: max(o.Every, 1), plain: o.Plain,
		wakeup: make(chan struct{}, 1), closed: make(chan struct{})}
	for i := range s.cursors {
		if o.Past {
			s.cursors[i] = r.lanes[i].oldest()
		} else {
			s.cursors[i] = r.lanes[i].latest()
		}
	}
	r.mu.Lock()
	r.subs[s] = struct{}{}
	r.mu.Unlock()
	return s
}

// Lost is the number of events that were overwritten before this subscription
// read them.
func (s *Subscription) Lost() uint64 { return s.lost.Load() }

// Behind reports whether more was recorded than the last Read has looked at, so that
// the next one should not be put off.
func (s *Subscription) Behind() bool {
	return s.behind || s.taken < len(s.ready) && s.ready[s.taken].Time <= s.until
}

// Close ends the subscription and a Read that waits.
func (s *Subscription) Close() {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	if _, ok := s.r.subs[s]; ok {
		delete(s.r.subs, s)
		close(s.closed)
	}
}

// Read waits for events and copies at least one into dst, in order of time.
// The error is ctx's, or [context.Canceled] once the subscription is closed.
func (s *Subscription) Read(ctx context.Context, dst []Event) (int, error) {
	return s.readUntil(ctx, dst, noEnd)
}

// ReadUntil is Read, but for that it returns 0 once all has been read that was recorded up to a
// time, receipts joined: some hundredths of a second after it, as a rule.
func (s *Subscription) ReadUntil(ctx context.Context, dst []Event, end time.Time) (int, error) {
	return s.readUntil(ctx, dst, end.UnixNano())
}

// noEnd is a time that never comes.
const noEnd = 1<<63 - 1

func (s *Subscription) readUntil(ctx context.Context, dst []Event, end int64) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if n := s.take(dst, s.until); n > 0 {
		return n, nil
	}
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-s.closed:
			return 0, context.Canceled
		case <-tick.C:
		}
		s.until = time.Now().Add(-holdBack).UnixNano()
		idle := s.poll()
		if n := s.take(dst, s.until); n > 0 {
			return n, nil
		}
		if s.until >= end && s.complete(end) {
			return 0, nil
		}
		if idle && end == noEnd {
			if err := s.sleep(ctx); err != nil {
				return 0, err
			}
		}
		pause := holdBack
		if s.behind { // what was wanted may be in the rest
			pause = 0
		}
		tick.Reset(pause)
	}
}

// sleep waits until something is recorded.
func (s *Subscription) sleep(ctx context.Context) error {
	s.r.waiting.Add(1)
	defer s.r.waiting.Add(-1)
	for i := range s.cursors { // what came before we were counted as waiting
		if l := &s.r.lanes[i]; l.last.Load() >= s.cursors[i].next && l.last.Load() > 0 {
			return nil
		}
	}
	select {
	case <-s.wakeup:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		return context.Canceled
	}
}

func (r *Recorder) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.subs {
		select {
		case s.wakeup <- struct{}{}:
		default:
		}
	}
}

// complete reports whether nothing is left that was recorded up to a time, which is that of
// until or before it.
func (s *Subscription) complete(end int64) bool {
	return !s.behind && !slices.ContainsFunc(s.received, func(e Event) bool { return e.Time <= end })
}

// take copies the ready events up to time until into dst.
func (s *Subscription) take(dst []Event, until int64) int {
	n := 0
	for rest := s.ready[s.taken:]; n < len(rest) && n < len(dst) && rest[n].Time <= until; n++ {
		dst[n] = rest[n]
	}
	s.taken += n
	return n
}

// poll collects what the lanes hold, puts it in order, and reports whether
// nothing is pending.
func (s *Subscription) poll() (idle bool) {
	s.ready = slices.Delete(s.ready, 0, s.taken)
	s.taken = 0
	before := len(s.ready)
	s.behind = false
	s.collect()
	if len(s.ready) > before {
		sortEvents(s.ready)
	}
	return len(s.ready) == 0 && len(s.received) == 0
}

// collect appends what the lanes hold to ready and received, in no order.
func (s *Subscription) collect() {
	if s.plain {
		for id := range numLanes {
			s.ready, _ = s.read(id, s.ready, s.wanted(id))
		}
		return
	}
	// The writes first: then every receipt that belongs to one of them is
	// published by the time that the receipts are read.
	writes, all := s.read(LaneTUNWrite, s.buf[:0], s.sampled(LaneTUNWrite))
	s.buf = writes
	until := time.Now().Add(-holdBack).UnixNano()
	if !all { // receipts may wait for the writes that are left
		until = min(until, s.cursors[LaneTUNWrite].time)
	}
	var paired uint64
	for i := range writes {
		paired = max(paired, writes[i].Pair)
	}
	for more := true; more; {
		s.received, all = s.read(LaneUDPReceive, s.received, s.sampled(LaneUDPReceive))
		more = !all && s.cursors[LaneUDPReceive].next <= paired
	}
	s.join(writes)
	s.add(writes)
	s.release(until)
	for _, id := range []Lane{LaneTUNRead, LaneUDPSend, LaneControl, LaneForward} {
		s.ready, _ = s.read(id, s.ready, s.wanted(id))
	}
}

// read appends what is wanted of a lane to dst, and reports whether it has looked at
// all that the lane holds: it looks at no more than pollSize events.
func (s *Subscription) read(id Lane, dst []Event, pick pick) (out []Event, all bool) {
	dst, more, lost := s.r.lanes[id].read(&s.cursors[id], dst, pollSize, pick)
	s.lost.Add(lost)
	s.behind = s.behind || more
	return dst, !more
}

func (s *Subscription) add(events []Event) {
	for i := range events {
		if s.match == nil || s.match(&events[i]) {
			s.ready = append(s.ready, events[i])
		}
	}
}

// join completes receipts from the writes that followed them. Both are in
// order of the receipts' Seq, or nearly so.
func (s *Subscription) join(writes []Event) {
	if len(s.received) == 0 {
		return
	}
	for i := range writes {
		w := &writes[i]
		first := s.received[0].Seq
		if w.Pair < first || w.Pair > s.received[len(s.received)-1].Seq {
			continue
		}
		i := int(min(w.Pair-first, uint64(len(s.received)-1)))
		if s.received[i].Seq != w.Pair { // some were overwritten before they were read
			var found bool
			i, found = slices.BinarySearchFunc(s.received, w.Pair, func(e Event, seq uint64) int {
				return cmp.Compare(e.Seq, seq)
			})
			if !found {
				continue
			}
		}
		s.received[i].complete(w)
	}
}

// complete gives the receipt r what the TUN write w knows.
func (e *Event) complete(w *Event) {
	e.InnerSrc, e.InnerDst = w.InnerSrc, w.InnerDst
	e.InnerSrcPort, e.InnerDstPort = w.InnerSrcPort, w.InnerDstPort
	e.InnerLen, e.Proto, e.Info, e.PrefixBits = w.InnerLen, w.Proto, w.Info, w.PrefixBits
	e.Peer, e.Flags = w.Peer, w.Flags&^(FlagEndpointMoved|FlagQuotes|FlagNodeSays)
	e.Checkpoint = B3
	if w.Flags&FlagInitiatedHere != 0 {
		e.Checkpoint = A5
	}
}

// release hands on the receipts that are joined, or will not be any more: they
// are older than until.
func (s *Subscription) release(until int64) {
	kept := s.received[:0]
	for i := range s.received {
		e := &s.received[i]
		wait := until
		if e.Kind == KindData && e.Reason == ReasonNone {
			wait -= int64(joinWait)
		}
		if e.InnerLen == 0 && e.Time > wait {
			kept = append(kept, *e)
		} else if s.match == nil || s.match(e) {
			s.ready = append(s.ready, *e)
		}
	}
	s.received = kept
}
