package telemetry

import (
	"io"
	"sync/atomic"
)

// Counts are how many items of a signal (spans, log records) have had which end.
type Counts struct {
	Sent    uint64 // the receiver has taken them
	Refused uint64 // it answered with an error, or did not answer, and they were given up
	Lost    uint64 // they found the queue full
	Waiting uint64 // in the queue, or being sent
}

// Tally counts the items of one signal. Whoever puts one into a queue asks Enter first, so that no
// more than a number wait, and calls Leave when they have had their end.
type Tally struct {
	limit               int64
	inside              atomic.Int64
	sent, refused, lost atomic.Uint64
}

// NewTally returns one for at most limit items that wait.
func NewTally(limit int) *Tally { return &Tally{limit: int64(limit)} }

// Enter reports whether there is room for one more item. One that there is none for is lost.
func (t *Tally) Enter() bool {
	if t.inside.Add(1) > t.limit {
		t.inside.Add(-1)
		t.lost.Add(1)
		return false
	}
	return true
}

// Leave notes that n items were sent, or given up if err says so.
func (t *Tally) Leave(n int, err error) {
	t.inside.Add(-int64(n))
	if err != nil {
		t.refused.Add(uint64(n))
	} else {
		t.sent.Add(uint64(n))
	}
}

// Counts returns the counts by now.
func (t *Tally) Counts() Counts {
	return Counts{t.sent.Load(), t.refused.Load(), t.lost.Load(), uint64(max(t.inside.Load(), 0))}
}

// readAll reads up to limit bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) { return io.ReadAll(io.LimitReader(r, limit)) }
