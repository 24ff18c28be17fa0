package mirror

import (
	"sync/atomic"
	"time"
)

// Clock gives the wall-clock time in nanoseconds since the epoch at the cost
// of reading the monotonic clock alone. Whoever keeps it calls Sync regularly, so
// that it follows steps of the wall clock and suspends, during which the monotonic
// clock stands still. While nobody keeps it, each reading looks at both clocks.
type Clock struct {
	base   time.Time
	Read   func(base time.Time) (wall, since int64) // nanoseconds; in tests another one
	kept   atomic.Bool
	offset atomic.Int64 // wall clock at base
}

func newClock() *Clock {
	c := &Clock{base: time.Now(), Read: readClocks}
	c.offset.Store(c.base.UnixNano())
	return c
}

func readClocks(base time.Time) (wall, since int64) {
	now := time.Now()
	return now.UnixNano(), int64(now.Sub(base))
}

// Now is the time.
func (c *Clock) Now() int64 {
	if !c.kept.Load() {
		return c.Sync()
	}
	return int64(time.Since(c.base)) + c.offset.Load()
}

// Sync has the clock follow the wall clock, and returns the time.
func (c *Clock) Sync() int64 {
	wall, since := c.Read(c.base)
	if offset := wall - since; abs(offset-c.offset.Load()) > int64(time.Millisecond) {
		c.offset.Store(offset)
	}
	return since + c.offset.Load()
}

// Keep and leave say that sync is called regularly from now on, or is not.
func (c *Clock) Keep() {
	c.Sync()
	c.kept.Store(true)
}

// Leave is described at [Clock.Keep].
func (c *Clock) Leave() { c.kept.Store(false) }

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
