package tunnel

import (
	"sync/atomic"
	"time"
)

// clock gives the wall-clock time in nanoseconds since the epoch at the cost
// of reading the monotonic clock alone. The tunnel's housekeeping calls sync
// regularly, so that it follows steps of the wall clock and suspends.
type clock struct {
	base   time.Time
	offset atomic.Int64 // wall clock at base
}

func newClock() *clock {
	c := &clock{base: time.Now()}
	c.offset.Store(c.base.UnixNano())
	return c
}

func (c *clock) now() int64 { return int64(time.Since(c.base)) + c.offset.Load() }

func (c *clock) sync() {
	now := time.Now()
	if wall := now.UnixNano() - int64(now.Sub(c.base)); abs(wall-c.offset.Load()) > int64(time.Millisecond) {
		c.offset.Store(wall)
	}
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
