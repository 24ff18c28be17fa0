package patience

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestGivenFactor(t *testing.T) {
	t.Setenv(variable, "2.5")
	if got := Limit(); got != 150*time.Second {
		t.Errorf("the limit is %v", got)
	}
	if got := Seconds(); got != "150" {
		t.Errorf("in seconds %s", got)
	}
	if got := Times(4 * time.Second); got != 10*time.Second {
		t.Errorf("2.5 times 4 s is %v", got)
	}
}

func TestMeasuredFactor(t *testing.T) {
	if f := factor(); f < 1 || f > most {
		t.Errorf("factor %v", f)
	}
	if n := Lanes(7); n < 2*runtime.NumCPU() || n > 7*runtime.NumCPU() {
		t.Errorf("%d lanes", n)
	}
	t.Logf("slowness %.2f, load %.2f", slowness(), load())
}

// failing stands in for a test that is to fail.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// What is awaited in vain is named, with what was seen last.
func TestSaysWhatWasAwaited(t *testing.T) {
	t.Setenv(variable, "1")
	for name, test := range map[string]struct {
		wait func(t testing.TB)
		want string
	}{
		"until": {func(t testing.TB) { Until(t, "a handshake", func() bool { return false }) }, "waited 1m0s for a handshake"},
		"see": {func(t testing.TB) { See(t, "a route", func() (string, bool) { return "none", false }) },
			"waited 1m0s for a route; last seen:\nnone"},
		"receive": {func(t testing.TB) { Receive(t, "an event", make(chan int)) }, "waited 1m0s for an event"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &failing{TB: t}
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					test.wait(f)
					f.said = "went on"
				}()
				<-ended
				if f.said != test.want {
					t.Errorf("said %q, want %q", f.said, test.want)
				}
			})
		})
	}
}

func TestContextSaysHowLong(t *testing.T) {
	t.Setenv(variable, "1")
	synctest.Test(t, func(t *testing.T) {
		ctx := Context(t)
		<-ctx.Done()
		if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1m0s") {
			t.Errorf("cause %v", err)
		}
	})
}

func TestComes(t *testing.T) {
	c := make(chan int, 1)
	c <- 7
	if got := Receive(t, "a number", c); got != 7 {
		t.Errorf("received %d", got)
	}
	n := 0
	Until(t, "the third look", func() bool { n++; return n == 3 })
	if n != 3 {
		t.Errorf("%d looks", n)
	}
}
