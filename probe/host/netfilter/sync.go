//go:build linux

package netfilter

import (
	"errors"
	"sync/atomic"
	"time"
)

// ErrSynced says that Next has returned all packets whose walks had ended before the call of
// Sync.
var ErrSynced = errors.New("all earlier packets have been returned")

const (
	// ticksToSync is after how many looks, with nothing left to be read, a walk that had ended is
	// known to have.
	ticksToSync = 2
	// syncPoll is how long events are awaited where no walk is open that more may come of.
	syncPoll = time.Millisecond
)

// syncing is how far a tracer is with what Sync was called for. All but calls belongs to the
// goroutine that is in Next.
type syncing struct {
	calls    atomic.Int64 // of Sync
	seen     int64        // of calls, the latest that is being waited for
	answered int64        // of calls, the latest that was answered, or is to be now
	left     int          // looks until that of seen is known to be reached
	due      bool         // Next is to return ErrSynced
}

// Sync has Next return [ErrSynced] once: at once where no walk is open, else after some
// hundredths of a second. It may be called while another goroutine waits in Next.
func (t *Tracer) Sync() {
	t.sync.calls.Add(1)
	_ = t.events.SetReadDeadline(time.Now()) // wakes Next; else it looks in a moment
}

// reached reports once whether what Sync was called for has been returned.
func (s *syncing) reached() bool {
	was := s.due
	s.due = false
	return was
}

// waits reports whether all that Sync was called for is to be known as soon as all events are
// read.
func (s *syncing) waits(w *walks) bool { return s.calls.Load() != s.answered && len(w.open) == 0 }

// caughtUp notes that all events have been read since there were so many calls.
func (s *syncing) caughtUp(calls int64, w *walks) {
	if calls == s.answered {
		return
	}
	if len(w.open) == 0 {
		s.answer(calls)
	} else if calls != s.seen {
		s.seen, s.left = calls, ticksToSync
	}
}

// tick notes that walks have ended of which nothing has come since the last tick.
func (s *syncing) tick() {
	if s.seen > s.answered {
		if s.left--; s.left == 0 {
			s.answer(s.seen)
		}
	}
}

func (s *syncing) answer(calls int64) { s.answered, s.seen, s.due = calls, calls, true }
