// Package teardown takes nodes down from outside: [Down] has a live one end, and runs the hooks of
// going down; [Recover] undoes what dead ones have left on the host. Both go by the journals in the
// run folder. A node that ends by itself undoes its own steps, see package node.
package teardown

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/wgnode/wgnode/node/guard"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/internal/process"
	"github.com/wgnode/wgnode/node/internal/say"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/node/save"
)

// ErrNotUp: no node has brought an interface of that name up.
var ErrNotUp = errors.New("not brought up by a node")

// Options say how to take a node down. The zero value is a good one.
type Options struct {
	// Out gets a line for each step that was undone. Nil is for none.
	Out io.Writer
	// Shell is where the hooks run.
	Shell hook.Shell
	// RunDir is the folder of journals and control sockets; [rundir.Default] if empty.
	RunDir string
}

// Down takes the node of that name down: a live one is asked to end itself, and
// awaited; what a killed one has left behind is undone. The hooks of going down
// run in the calling process, as they are in the configuration file by now; a
// PreDown that fails leaves a live node up. If there is nothing to do the error
// wraps [ErrNotUp].
func Down(ctx context.Context, name string, o Options) error {
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
				say.Line(out, "%s", line)
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
		return UndoDead(ctx, j, o, "")
	}
	r := plan.Runner{Kernel: plan.System{}, Out: out}
	return errors.Join(removeRemains(dir, name), guard.End(j.Guard), r.Undo(ctx, j), after(ctx))
}

// endLive ends the node that a journal names and waits until it has ended. If
// it can be spoken to, it was prepared: the hooks and the saving are done here,
// and what comes after is returned. One that hears nothing but signals does it
// itself.
func (o *Options) endLive(ctx context.Context, j *plan.Journal) (prepared bool, after func(context.Context) error, err error) {
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
		return false, nothing, process.End(ctx, j.Process, nil)
	}
	status, err := client.Status(ctx)
	if err != nil || status.Netstack || status.Elsewhere {
		return false, nothing, process.End(ctx, j.Process, nil)
	}
	cfg := hooksOf(j, o.Out)
	if cfg != nil {
		if err := RunHooks(ctx, cfg, hook.PreDown, o.Shell, o.Out, true); err != nil {
			return false, nil, err
		}
		if cfg.Interface.SaveConfig {
			// Which peers and keys are kept elsewhere, and not to be written here.
			if err := cfg.Resolve(ctx); err != nil {
				return false, nil, err
			}
			if err := save.Config(ctx, cfg, o.RunDir); err != nil {
				return false, nil, err
			}
		}
	}
	if err := process.End(ctx, j.Process, client.End); err != nil {
		return false, nil, err
	}
	return true, func(ctx context.Context) error {
		if cfg == nil {
			return nil
		}
		return RunHooks(ctx, cfg, hook.PostDown, o.Shell, o.Out, true)
	}, nil
}
