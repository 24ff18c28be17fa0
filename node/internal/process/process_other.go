//go:build !linux

package process

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/wgnode/wgnode/node/plan"
)

// look is how often it is looked whether a process has ended.
const look = 50 * time.Millisecond

// End has a process end and waits until it has: by what ask says to it, by a signal where ask is nil
// or fails. One that is not there any more is no error.
func End(ctx context.Context, p plan.Process, ask func(context.Context) error) error {
	alive, err := p.Alive()
	if err != nil || !alive {
		return err
	}
	if ask == nil || ask(ctx) != nil {
		if err := signal(p); err != nil {
			return err
		}
	}
	return await(ctx, p)
}

// Terminate ends a process by a signal, if it is still there, and waits until it has ended. The zero
// Process is nobody.
func Terminate(p plan.Process) error {
	if p == (plan.Process{}) {
		return nil
	}
	return End(context.Background(), p, nil)
}

// AwaitDead waits until a process that is not alive has let go of all that it had: here it has.
func AwaitDead(plan.Process) error { return nil }

// signal asks a process to end. Its number may be another's by now, if it has ended since it was looked at.
func signal(p plan.Process) error {
	found, err := os.FindProcess(p.PID)
	if err == nil {
		err = terminate(found)
	}
	if err != nil {
		return fmt.Errorf("signal process %d: %w", p.PID, err)
	}
	return nil
}

func await(ctx context.Context, p plan.Process) error {
	ctx, cancel := context.WithTimeoutCause(ctx, Time, fmt.Errorf("process %d has not ended within %v", p.PID, Time))
	defer cancel()
	for {
		if alive, err := p.Alive(); err != nil || !alive {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(look):
		}
	}
}
