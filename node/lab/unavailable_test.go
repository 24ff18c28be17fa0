//go:build linux

package lab_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
)

// recorder stands in for a test and records how it ended.
type recorder struct {
	testing.TB
	end string
}

func (r *recorder) Helper() {}

func (r *recorder) Skip(args ...any) {
	r.end = "skipped: " + fmt.Sprint(args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.end = "failed: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestWhatCannotRunSkipsButNotInCI(t *testing.T) {
	for ci, want := range map[string]string{"": "skipped: ", "true": "failed: "} {
		t.Setenv("CI", ci)
		r := &recorder{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			lab.Need(r, "sh", "no-such-program")
		}()
		<-done
		if !strings.HasPrefix(r.end, want+"no-such-program is not installed") {
			t.Errorf("with CI=%q the test is %q", ci, r.end)
		}
	}
	lab.Need(t, "sh")
}
