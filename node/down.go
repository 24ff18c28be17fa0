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

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/safefile"
)

// ErrNotUp: no node has brought an interface of that name up.
var ErrNotUp = errors.New("not brought up by a node")

// endTime is how long a node may take to go down.
const endTime = 20 * time.Second

// DownOptions say how to take a node down. The zero value is a good one.
type DownOptions struct {
	// Out gets a line for each step that was undone. Nil is for none.
	Out io.Writer
	// Shell is where the hooks run.
	Shell hook.Shell
	// RunDir is the folder of journals and control sockets; [RunDir] if empty.
	RunDir string
}

// Down takes the node of that name down: a live one is asked to end itself, and
// awaited; what a killed one has left behind is undone. The hooks of going down
// run in the calling process, as they are in the configuration file by now; a
// PreDown that fails leaves a live node up. If there is nothing to do the error
// wraps [ErrNotUp].
func Down(ctx context.Context, name string, o DownOptions) error {
	if o.RunDir == "" {
		o.RunDir = rundir.Default()
	}
	dir, out := o.RunDir, o.Out
	path := rundir.Journal(dir, name)
	j, err := plan.OpenJournal(path)
	if errors.Is(err, fs.ErrNotExist) {
		// One may have been killed before it had done anything.
		return errors.Join(fmt.Errorf("take %s down: %w", name, ErrNotUp), safefile.RemoveRemains(path))
	}
	if err != nil {
		return err
	}
	prepared, after, err := o.endLive(ctx, j)
	if err != nil {
		return fmt.Errorf("take %s down: %w", name, err)
	}
	steps := slices.Clone(j.Steps)
	unlock, err := rundir.Lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	was := j.Process
	j, err = plan.OpenJournal(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && j.Process != was {
		for _, s := range slices.Backward(steps) { // the node did it
			if line := s.UndoneLine(plan.System{}); line != "" {
				say(out, "%s", line)
			}
		}
		return after(ctx)
	}
	if err != nil {
		return err
	}
	if !prepared {
		// Dead from the first, or killed before it could do what it was told.
		sayDead(o.Out, j)
		return undoDead(ctx, dir, j, o.Shell, out, "")
	}
	r := plan.Runner{Kernel: plan.System{}, Out: out}
	return errors.Join(removeRemains(dir, name), endGuardian(j.Guard), r.Undo(ctx, j), after(ctx))
}

// endLive ends the node that a journal names and waits until it has ended. If
// it can be spoken to, it was prepared: the hooks and the saving are done here,
// and what comes after is returned. One that hears nothing but signals does it
// itself.
func (o *DownOptions) endLive(ctx context.Context, j *plan.Journal) (prepared bool, after func(context.Context) error, err error) {
	nothing := func(context.Context) error { return nil }
	alive, err := j.Process.Alive()
	if err != nil || !alive {
		return false, nothing, err
	}
	if plan.Stopped(j.Process.PID) {
		return false, nil, &rundir.StoppedError{Name: j.Link, PID: j.Process.PID} // it would not hear a signal either
	}
	client, err := rundir.Dial(o.RunDir, j.Link)
	if err != nil {
		return false, nothing, end(ctx, j.Process, nil)
	}
	status, err := client.Status(ctx)
	if err != nil || status.Netstack || status.Elsewhere {
		return false, nothing, end(ctx, j.Process, nil)
	}
	cfg := hooksOf(j, o.Out)
	if cfg != nil {
		if err := runHooks(ctx, cfg, hook.PreDown, o.Shell, o.Out, true); err != nil {
			return false, nil, err
		}
		if cfg.Interface.SaveConfig {
			// Which peers and keys are kept elsewhere, and not to be written here.
			if err := cfg.Resolve(ctx); err != nil {
				return false, nil, err
			}
			if err := Save(ctx, cfg, o.RunDir); err != nil {
				return false, nil, err
			}
		}
	}
	if err := end(ctx, j.Process, client); err != nil {
		return false, nil, err
	}
	return true, func(ctx context.Context) error {
		if cfg == nil {
			return nil
		}
		return runHooks(ctx, cfg, hook.PostDown, o.Shell, o.Out, true)
	}, nil
}

// end asks a process to end, by its control socket if there is a client for it,
// and waits until it has. One that is not there any more is no error.
func end(ctx context.Context, p plan.Process, c *control.Client) error {
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
	if c == nil || c.End(ctx) != nil {
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
