package teardown

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/say"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/running"
)

// Recover undoes what nodes that are dead have left behind on the host: that of
// the given name, or of all names if it is "". A node that lives is left alone,
// and that there is nothing to do is no error. With a name it also deletes a
// kill switch that no journal tells of. It says of each name what it did.
func Recover(ctx context.Context, name string, o Options) error {
	if o.RunDir == "" {
		o.RunDir = rundir.Default()
	}
	unlock, err := rundir.Lock(o.RunDir)
	if err != nil {
		return err
	}
	defer unlock()
	own, err := running.Called(o.RunDir, name)
	errs := []error{err}
	found := false
	for _, k := range own {
		found = found || name != "" || k.State == running.StateDead
		errs = append(errs, recoverOne(ctx, k, o))
	}
	some, err := orphans(name, o)
	if errs = append(errs, err); !found && !some && errors.Join(errs...) == nil {
		say.Line(o.Out, "[!] nothing to undo: no dead node%s has left anything", called(name))
	}
	return errors.Join(errs...)
}

// called is " called NAME" where there is a name.
func called(name string) string {
	if name == "" {
		return ""
	}
	return " called " + name
}

func recoverOne(ctx context.Context, k running.Known, o Options) error {
	if k.State != running.StateDead {
		say.Line(o.Out, "[!] left as it is: %s is running%s", k.Name, inProcess(k.PID))
		return nil
	}
	j, err := plan.OpenJournal(rundir.Journal(o.RunDir, k.Name))
	if errors.Is(err, fs.ErrNotExist) {
		say.Line(o.Out, "[!] %s has died; its socket is removed", k.Name)
		return removeRemains(o.RunDir, k.Name)
	}
	if err != nil {
		return err
	}
	sayDead(o.Out, j)
	return UndoDead(ctx, j, o, "")
}

// inProcess is " (pid N)" where the process is known.
func inProcess(pid int) string {
	if pid == 0 {
		return ""
	}
	return fmt.Sprintf(" (pid %d)", pid)
}

// orphans deals with kill switches that no journal tells of, and that have no
// interface: nobody else would find out why the host is cut off. One by name is
// deleted, of the others it is said how. It reports whether there was any.
func orphans(name string, o Options) (some bool, err error) {
	if nftables.Available() != nil {
		return false, nil // then there are none
	}
	names, err := running.OrphanedKillSwitches(o.RunDir)
	errs := []error{err}
	for _, l := range names {
		if name != "" && l != name {
			continue
		}
		some = true
		if name == "" {
			say.Line(o.Out, "[!] the kill switch of %s belongs to no known node: `wgnode recover %s` removes it", l, l)
			continue
		}
		s := plan.Step{Op: plan.OpKillSwitch, Link: l}
		if err := (plan.System{}).DeleteKillSwitch(l); err != nil {
			errs = append(errs, err)
			continue
		}
		say.Line(o.Out, "[#] %s", s.UndoString())
	}
	return some, errors.Join(errs...)
}
