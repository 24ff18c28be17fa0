package tunnel

import (
	"sync"
	"sync/atomic"
	"time"
)

// handshakeState is what the latest handshake messages with a peer were.
type handshakeState struct {
	outstanding atomic.Uint32 // sender index of our latest initiation, until it is answered
	established atomic.Int64  // nanoseconds since the epoch of the latest completed handshake
	initiated   atomic.Int64  // the same of our latest initiation
	pending     atomic.Int64  // the same of the first initiation since which none was answered

	rejected   atomic.Uint32 // sender index of our latest initiation whose answer was rejected
	unanswered atomic.Uint64 // initiations of ours that were followed by another for want of an answer
	givenUp    atomic.Uint64 // times that no more were sent for a while

	mu       sync.Mutex
	newest   time.Time // initiator's clock: the highest timestamp seen
	latest   time.Time // initiator's clock: the timestamp seen last
	latestAt time.Time // our clock at that moment
}

// sent notes an initiation of ours.
func (s *handshakeState) sent(index uint32, at int64) {
	switch before := s.outstanding.Swap(index); before {
	case 0:
		s.pending.Store(at)
	case s.rejected.Load(): // it was answered, if badly
	default:
		if s.established.Load() < s.initiated.Load() { // nor did the peer's own get through
			s.unanswered.Add(1)
		}
	}
	s.initiated.Store(at)
}

// clock is what the peer has stated of its own clock: the highest time, and the latest
// with our time at that moment.
func (s *handshakeState) clock() (newest, latest, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest, s.latest, s.latestAt
}

// saw notes the time that the peer states in an initiation that came at a time by our clock.
func (s *handshakeState) saw(ts, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest, s.latestAt = ts, at
	if ts.After(s.newest) {
		s.newest = ts
	}
}
