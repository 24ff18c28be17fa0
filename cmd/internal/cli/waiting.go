package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// muteTime is how long a command may be mute.
const muteTime = 400 * time.Millisecond

// Waiting says on a terminal what cmd waits for, if it still does after a moment.
// The function that it returns is to be called before anything else is printed.
func Waiting(cmd *cobra.Command, format string, args ...any) (done func()) {
	w := cmd.ErrOrStderr()
	if !IsTerminal(w) {
		return func() {}
	}
	said := make(chan struct{})
	timer := time.AfterFunc(muteTime, func() {
		defer close(said)
		// A terminal that has gone needs no word.
		_, _ = fmt.Fprintf(w, "wgnode: "+format+" ...\n", args...)
	})
	return sync.OnceFunc(func() {
		if !timer.Stop() {
			<-said
		}
	})
}

// UntilOutput is Waiting until something is written to what it returns, which
// passes it on to w.
func UntilOutput(cmd *cobra.Command, w io.Writer, format string, args ...any) (out io.Writer, done func()) {
	done = Waiting(cmd, format, args...)
	return &firstWrite{w, done}, done
}

type firstWrite struct {
	io.Writer
	before func()
}

func (f *firstWrite) Write(b []byte) (int, error) {
	f.before()
	return f.Writer.Write(b)
}
