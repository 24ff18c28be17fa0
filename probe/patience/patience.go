// Package patience says how long tests wait. It is for tests only.
//
// A deadline in a test is a bound against hanging, never an expectation: however
// slow the machine is, and whatever else it does, a test that waits long enough
// passes. What must be fast is a benchmark. So there is one bound for all that must
// come, [Limit], however soon it mostly comes. It is one minute times a factor: that
// of the environment variable WGNODE_PATIENCE, or else what this machine is slower by
// than a common one, from a short calculation and from how many programs wait for its
// processors.
//
// [Until], [See] and [Receive] wait, and say what for if it does not come. [Context],
// [Deadline], [After] and [Seconds] are the bound for what waits by itself: a call, a
// socket, a select, a program such as curl -m.
//
// What must not come is another matter. A test causes something after it that must
// come, and awaits that.
package patience

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	variable = "WGNODE_PATIENCE"
	limit    = time.Minute
	// most is the largest factor that is measured; a larger one may be given. A test
	// that hangs should still end.
	most = 10
	// common is how long the calculation takes on a common machine.
	common = 400 * time.Microsecond
	// pause is the longest between two looks at what has no event.
	pause = 50 * time.Millisecond
)

// Limit is how long to wait for what must come.
func Limit() time.Duration { return Times(limit) }

// Times returns a duration as long as the machine is slow: for a limit of the
// program's own, such as explain --timeout, that suffices on a common machine.
func Times(d time.Duration) time.Duration { return time.Duration(float64(d) * factor()) }

// Deadline is [Limit] from now.
func Deadline() time.Time { return time.Now().Add(Limit()) }

// After is [time.After] with [Limit].
func After() <-chan time.Time { return time.After(Limit()) }

// Seconds is [Limit] as programs take it.
func Seconds() string { return strconv.Itoa(int(math.Ceil(Limit().Seconds()))) }

// Context is the test's, with [Limit] for its deadline.
func Context(t testing.TB) context.Context {
	t.Helper()
	d := Limit()
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, fmt.Errorf("%w: not within %v", context.DeadlineExceeded, d))
	t.Cleanup(cancel)
	return ctx
}

// Until calls done again and again until it reports true. What it waits for must have
// no event. If it does not come it ends the test, and says what was awaited.
func Until(t testing.TB, what string, done func() bool) {
	t.Helper()
	See(t, what, func() (string, bool) { return "", done() })
}

// See is [Until] for what can be seen: if it does not come, what was seen last is said,
// too.
func See(t testing.TB, what string, look func() (seen string, done bool)) {
	t.Helper()
	d := Limit()
	wait := time.Millisecond
	for start := time.Now(); ; wait = min(2*wait, pause) {
		seen, done := look()
		if done {
			return
		}
		if time.Since(start) > d {
			if seen != "" {
				seen = "; last seen:\n" + seen
			}
			t.Fatalf("waited %v for %s%s", d, what, seen)
		}
		select {
		case <-time.After(wait):
		case <-t.Context().Done():
			t.Fatalf("waited for %s until the end of the test", what)
		}
	}
}

// Receive returns what comes from c. If nothing does it ends the test, and says what
// was awaited. If c is closed it returns the zero value.
func Receive[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	d := Limit()
	select {
	case v := <-c:
		return v
	case <-time.After(d):
		t.Fatalf("waited %v for %s", d, what)
		panic("unreachable")
	}
}

// Lanes is how many things that mostly wait are to be done at a time: so many for each
// processor, fewer where others keep the processors busy now, but two.
func Lanes(each int) int {
	n := runtime.NumCPU()
	return max(2*n, int(float64(each*n)*idle()))
}

// factor is what all durations are multiplied by.
func factor() float64 {
	if text, ok := os.LookupEnv(variable); ok {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f < 1 || f > 1000 {
			panic(fmt.Sprintf("%s=%s: want a factor from 1 to 1000", variable, text))
		}
		return f
	}
	return min(max(1, slowness())*max(1, load()), most)
}

// slowness is how much slower the processor is than a common one.
var slowness = sync.OnceValue(func() float64 {
	best := time.Duration(math.MaxInt64)
	for range 5 { // the best of which was not interrupted
		start := time.Now()
		runtime.KeepAlive(calculate()) // or else it is left out
		best = min(best, time.Since(start))
	}
	return float64(best) / float64(common)
})

func calculate() (sum uint64) {
	x := uint64(88172645463325252)
	for range 200_000 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// load is how many programs wanted to run of late for each processor; 0 if that
// cannot be known.
func load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	f, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return f / float64(runtime.NumCPU())
}

// idle is the share of the processors' time that nobody takes. The load average would still
// tell of what has just ended, as the tests of another package.
func idle() float64 {
	idle, all := processorTime()
	time.Sleep(pause * 4) // it is counted in hundredths of a second
	idleThen, allThen := processorTime()
	if allThen <= all {
		return 1
	}
	return float64(idleThen-idle) / float64(allThen-all)
}

// processorTime is how long the processors have been idle, and all of it; 0 where the system
// does not tell.
func processorTime() (idle, all uint64) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	for i, f := range strings.Fields(first) {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil || i > 8 { // the first is a name, and what guests take is in another
			continue
		}
		if all += n; i == 4 || i == 5 {
			idle += n // waiting for disks, too
		}
	}
	return idle, all
}
