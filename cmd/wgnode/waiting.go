package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// muteTime is how long a command may be mute.
const muteTime = 400 * time.Millisecond

// waiting says on a terminal what cmd waits for, if it still does after a moment.
// The function that it returns is to be called before anything else is printed.
func waiting(cmd *cobra.Command, format string, args ...any) (done func()) {
	w := cmd.ErrOrStderr()
	if !isTerminal(w) {
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

// untilOutput is waiting until something is written to what it returns, which
// passes it on to w.
func untilOutput(cmd *cobra.Command, w io.Writer, format string, args ...any) (out io.Writer, done func()) {
	done = waiting(cmd, format, args...)
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
