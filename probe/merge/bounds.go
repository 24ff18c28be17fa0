package merge

import "math"

// Bounds are what the messages between two hosts leave possible of how far one's clock, B's, is
// ahead of the other's, A's. Times are those of the clocks where they were taken, in nanoseconds.
// It is not safe for concurrent use.
type Bounds struct {
	bounds bounds
	fit    *fit
}

// Forth takes a message from A to B: it cannot arrive before it was sent.
func (b *Bounds) Forth(sentA, gotB int64) {
	b.bounds.forth(sentA, gotB)
	b.fit = nil
}

// Back takes one from B to A.
func (b *Bounds) Back(sentB, gotA int64) {
	b.bounds.back(sentB, gotA)
	b.fit = nil
}

// At is how far B's clock is ahead at B's time t: at least and at most. It reports whether there
// are messages of both directions, and no clock was set meanwhile: else there are no bounds.
func (b *Bounds) At(t int64) (lo, hi float64, ok bool) {
	if b.fit == nil {
		f := b.bounds.fit()
		b.fit = &f
	}
	if !b.fit.both || !b.fit.even {
		return math.Inf(-1), math.Inf(1), false
	}
	lo, hi = b.fit.at(t)
	return min(lo, hi), max(lo, hi), true
}
