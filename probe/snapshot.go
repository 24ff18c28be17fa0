package probe

import (
	"slices"
	"time"
)

// Snapshot returns what the recorder holds that is not older than since and
// that match (nil for all) accepts, in order of time, receipts joined.
func (r *Recorder) Snapshot(since time.Time, match func(*Event) bool) []Event {
	events, _ := r.snapshot(since, match)
	return events
}

// SubscribeSince is a snapshot and a subscription that goes on where that ends: no
// event is in both or in neither. lost counts what was overwritten meanwhile.
func (r *Recorder) SubscribeSince(since time.Time, match func(*Event) bool) (past []Event, lost uint64, s *Subscription) {
	s = r.Subscribe(SubscribeOptions{Match: match})
	past, lost = r.snapshot(since, match)
	past = slices.DeleteFunc(past, func(e Event) bool { return e.Seq >= s.cursors[LaneOf(&e)].next })
	return past, lost, s
}

func (r *Recorder) snapshot(since time.Time, match func(*Event) bool) ([]Event, uint64) {
	from := since.UnixNano()
	s := r.Subscribe(SubscribeOptions{Past: true, Match: func(e *Event) bool {
		return (since.IsZero() || e.Time >= from) && (match == nil || match(e))
	}})
	defer s.Close()
	return s.Rest(), s.Lost()
}

// Rest returns what is recorded and was not read yet, in order of time. It does not wait for
// anything: a receipt whose TUN write has not come is without what was in it. What comes
// later is read as before. Like [Subscription.Read] it is for one goroutine at a time.
func (s *Subscription) Rest() []Event {
	s.ready = slices.Delete(s.ready, 0, s.taken)
	s.taken = 0
	var ends [numLanes]uint64
	for i := range ends {
		ends[i] = s.r.lanes[i].last.Load()
	}
	for range len(s.r.lanes[0].blocks) { // bounded, though producers go on
		s.collect()
		if s.reached(&ends) {
			break
		}
	}
	s.release(noEnd)
	sortEvents(s.ready)
	rest := s.ready
	s.ready = nil
	return rest
}

func (s *Subscription) reached(ends *[numLanes]uint64) bool {
	for i := range ends {
		if s.cursors[i].next <= ends[i] {
			return false
		}
	}
	return true
}
