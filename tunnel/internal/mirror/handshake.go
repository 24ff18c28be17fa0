package mirror

import (
	"sync"
	"sync/atomic"
	"time"
)

// Handshake is what the latest handshake messages with a peer were.
type Handshake struct {
	Outstanding atomic.Uint32 // sender index of our latest initiation, until it is answered
	Established atomic.Int64  // nanoseconds since the epoch of the latest completed handshake
	Initiated   atomic.Int64  // the same of our latest initiation
	Pending     atomic.Int64  // the same of the first initiation since which none was answered

	Rejected   atomic.Uint32 // sender index of our latest initiation whose answer was rejected
	Unanswered atomic.Uint64 // initiations of ours that were followed by another for want of an answer
	GivenUp    atomic.Uint64 // times that no more were sent for a while

	mu       sync.Mutex
	newest   time.Time // initiator's clock: the highest timestamp seen
	latest   time.Time // initiator's clock: the timestamp seen last
	latestAt time.Time // our clock at that moment
}

// Sent notes an initiation of ours.
func (s *Handshake) Sent(index uint32, at int64) {
	switch before := s.Outstanding.Swap(index); before {
	case 0:
		s.Pending.Store(at)
	case s.Rejected.Load(): // it was answered, if badly
	default:
		if s.Established.Load() < s.Initiated.Load() { // nor did the peer's own get through
			s.Unanswered.Add(1)
		}
	}
	s.Initiated.Store(at)
}

// Clock is what the peer has stated of its own clock: the highest time, and the latest
// with our time at that moment.
func (s *Handshake) Clock() (newest, latest, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest, s.latest, s.latestAt
}

// Saw notes the time that the peer states in an initiation that came at a time by our clock.
func (s *Handshake) Saw(ts, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest, s.latestAt = ts, at
	if ts.After(s.newest) {
		s.newest = ts
	}
}
