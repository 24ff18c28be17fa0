package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/plan"
)

// ErrNotUp: no node has brought an interface of that name up.
var ErrNotUp = errors.New("not brought up by a node")

// endTime is how long a node may take to go down.
const endTime = 20 * time.Second

// Down takes the node of that name in [RunDir] down: a live one is asked to end
// itself, and awaited; what a killed one has left behind is undone. out gets a
// line for each step that was undone. If there is nothing to do the error wraps
// [ErrNotUp].
func Down(ctx context.Context, name string, out io.Writer) error {
	return DownIn(ctx, RunDir(), name, out)
}

// DownIn is Down for another folder, see [Options.RunDir].
func DownIn(ctx context.Context, dir, name string, out io.Writer) error {
	path := journalPath(dir, name)
	j, err := plan.OpenJournal(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take %s down: %w", name, ErrNotUp)
	}
	if err != nil {
		return err
	}
	if err := end(ctx, j.Process); err != nil {
		return fmt.Errorf("take %s down: %w", name, err)
	}
	steps := slices.Clone(j.Steps)
	unlock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer unlock()
	was := j.Process
	j, err = plan.OpenJournal(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && j.Process != was {
		for _, s := range slices.Backward(steps) { // the node did it
			if u := s.UndoString(); u != "" {
				say(out, "[#] %s", u)
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	r := plan.Runner{Kernel: plan.System{}, Out: out}
	return r.Undo(ctx, j)
}

// end asks a process to end and waits until it has. One that is not there any
// more is no error.
func end(ctx context.Context, p plan.Process) error {
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
	if err := unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
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

// awaitEnd waits until a descriptor of a process becomes readable, which is
// when it has ended (pidfd_open(2)).
func awaitEnd(fd, pid int) error {
	deadline := time.Now().Add(endTime)
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(max(time.Until(deadline), 0).Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("await end of process %d: %w", pid, err)
		case n == 0:
			return fmt.Errorf("process %d has not ended within %v", pid, endTime)
		default:
			return nil
		}
	}
}
