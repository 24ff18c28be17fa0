package teardown

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/wgnode/wgnode/node/guard"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/internal/process"
	"github.com/wgnode/wgnode/node/internal/say"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/node/unixsocket"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// UndoDead undoes what a node that was killed has left behind. Its hooks of
// going down run too: what those of coming up have done was not undone by
// anybody. One that fails, perhaps because the interface is gone, is told and
// does not keep the rest from being done. Steps of the kind except, if that is
// not "", are left, see [plan.Runner.UndoExcept].
//
// The caller has locked the folder of the journal.
func UndoDead(ctx context.Context, j *plan.Journal, o Options, except plan.Op) error {
	if err := process.AwaitDead(j.Process); err != nil {
		return err
	}
	cfg := hooksOf(j, o.Out)
	run := func(phase hook.Phase) {
		if cfg == nil {
			return
		}
		if err := RunHooks(ctx, cfg, phase, o.Shell, o.Out, false); err != nil {
			say.Line(o.Out, "[!] %v", err)
		}
	}
	run(hook.PreDown)
	// Before the journal goes, without which nobody would look for them.
	if err := removeRemains(o.RunDir, j.Link); err != nil {
		return fmt.Errorf("undo what the node %s left: %w", j.Link, err)
	}
	if except != plan.OpKillSwitch {
		if err := guard.End(j.Guard); err != nil {
			return fmt.Errorf("undo what the node %s left: %w", j.Link, err)
		}
	}
	r := plan.Runner{Kernel: plan.System{}, Out: o.Out}
	if err := r.UndoExcept(ctx, j, except); err != nil {
		return fmt.Errorf("undo what the node %s left: %w", j.Link, err)
	}
	run(hook.PostDown)
	return nil
}

// sayDead says whose remains are about to be undone: where a node left nothing
// but files, nothing else tells that anything was done.
func sayDead(out io.Writer, j *plan.Journal) {
	how, what := "has died", "its files are removed"
	if j.Process == (plan.Process{}) {
		how = "has ended unasked"
	}
	if left := j.Left(); len(left) > 0 {
		what = "what it left is undone: " + strings.Join(left, ", ")
	}
	say.Line(out, "[!] %s%s %s; %s", j.Link, inProcess(j.Process.PID), how, what)
}

// removeRemains removes the files that a node of that name has left which was
// killed, but for the journal: its sockets, unless somebody serves them by now,
// and a journal that was being written. The caller has locked dir.
func removeRemains(dir, name string) error {
	errs := []error{safefile.RemoveRemains(rundir.Journal(dir, name))}
	sockets := []string{rundir.Socket(dir, name)}
	if path, err := uapi.SocketPath(name); err == nil {
		sockets = append(sockets, path)
	}
	for _, path := range sockets {
		if unixsocket.Served(path) {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove socket: %w", err))
		}
	}
	return errors.Join(errs...)
}
