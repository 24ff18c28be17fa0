package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Interrupted returns a context that ends with SIGINT or SIGTERM.
func Interrupted(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

// DuringStart returns a context that also ends with what a terminal sends besides
// Ctrl-C: when it closes, and for Ctrl-\. They must not end this process half-way.
func DuringStart(ctx context.Context) (context.Context, context.CancelFunc) {
	signals := []os.Signal{syscall.SIGQUIT}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signals = append(signals, syscall.SIGHUP)
	}
	return signal.NotifyContext(ctx, signals...)
}
