package tunnel

import (
	"sync/atomic"
	"time"
)

// clock gives the wall-clock time in nanoseconds since the epoch at the cost
// of reading the monotonic clock alone. Whoever keeps it calls sync regularly, so
// that it follows steps of the wall clock and suspends, during which the monotonic
// clock stands still. While nobody keeps it, each reading looks at both clocks.
type clock struct {
	base   time.Time
	read   func(base time.Time) (wall, since int64) // nanoseconds; in tests another one
	kept   atomic.Bool
	offset atomic.Int64 // wall clock at base
}

func newClock() *clock {
	c := &clock{base: time.Now(), read: readClocks}
	c.offset.Store(c.base.UnixNano())
	return c
}

func readClocks(base time.Time) (wall, since int64) {
	now := time.Now()
	return now.UnixNano(), int64(now.Sub(base))
}

func (c *clock) now() int64 {
	if !c.kept.Load() {
		return c.sync()
	}
	return int64(time.Since(c.base)) + c.offset.Load()
}

// sync has the clock follow the wall clock, and returns the time.
func (c *clock) sync() int64 {
	wall, since := c.read(c.base)
	if offset := wall - since; abs(offset-c.offset.Load()) > int64(time.Millisecond) {
		c.offset.Store(offset)
	}
	return since + c.offset.Load()
}

// keep and leave say that sync is called regularly from now on, or is not.
func (c *clock) keep() {
	c.sync()
	c.kept.Store(true)
}

func (c *clock) leave() { c.kept.Store(false) }

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
