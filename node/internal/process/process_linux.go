package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/plan"
)

// End has a process end and waits until it has: by what ask says to it, by a signal where ask is nil
// or fails. One that is not there any more is no error.
func End(ctx context.Context, p plan.Process, ask func(context.Context) error) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", p.PID, err)
	}
	// The descriptor stands for one process, whoever gets its number later.
	// So if it is the right one now, it is the right one below.
	alive, err := p.Alive()
	if err != nil || !alive {
		return errors.Join(err, unix.Close(fd))
	}
	if ask == nil || ask(ctx) != nil {
		err = unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0)
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return errors.Join(fmt.Errorf("signal process %d: %w", p.PID, err), unix.Close(fd))
	}
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(awaitEnd(fd, p.PID), unix.Close(fd)) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Terminate ends a process by a signal, if it is still there, and waits until it has ended. The zero
// Process is nobody.
func Terminate(p plan.Process) error {
	if p == (plan.Process{}) {
		return nil
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", p.PID, err)
	}
	// The descriptor stands for one process, whoever gets its number later.
	there, err := p.Remains()
	if err == nil && there {
		if err = unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0); errors.Is(err, unix.ESRCH) {
			err = nil
		}
		if err == nil {
			err = awaitEnd(fd, p.PID)
		}
	}
	return errors.Join(err, unix.Close(fd))
}

// AwaitDead waits until a process that is not alive has let go of all that it
// had. Until then the interface that it served is still there.
func AwaitDead(p plan.Process) error {
	if p == (plan.Process{}) {
		return nil // nobody
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", p.PID, err)
	}
	remains, err := p.Remains()
	if err == nil && remains {
		err = awaitEnd(fd, p.PID)
	}
	return errors.Join(err, unix.Close(fd))
}

// awaitEnd waits until a descriptor of a process becomes readable, which is
// when it has ended (pidfd_open(2)).
func awaitEnd(fd, pid int) error {
	deadline := time.Now().Add(Time)
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(max(time.Until(deadline), 0).Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("await end of process %d: %w", pid, err)
		case n == 0:
			return fmt.Errorf("process %d has not ended within %v", pid, Time)
		default:
			return nil
		}
	}
}
