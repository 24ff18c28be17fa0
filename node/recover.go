package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/nftables"
	"github.com/wgnode/wgnode/node/plan"
)

// Recover undoes what nodes that are dead have left behind on the host: that of
// the given name, or of all names if it is "". A node that lives is left alone,
// and that there is nothing to do is no error. With a name it also deletes a
// kill switch that no journal tells of.
func Recover(ctx context.Context, name string, o DownOptions) error {
	if o.RunDir == "" {
		o.RunDir = RunDir()
	}
	names := []string{name}
	if name == "" {
		var err error
		if names, err = journals(o.RunDir); err != nil {
			return err
		}
	}
	unlock, err := lockDir(o.RunDir)
	if err != nil {
		return err
	}
	defer unlock()
	var errs []error
	for _, n := range names {
		errs = append(errs, recoverOne(ctx, n, o))
	}
	return errors.Join(append(errs, orphans(name, o))...)
}

// journals returns the names that have a journal in a folder.
func journals(dir string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list journals: %w", err)
	}
	var names []string
	for _, path := range paths {
		if name := strings.TrimSuffix(filepath.Base(path), ".json"); config.ValidName(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// Beginning is what a node has said of itself at its start: it runs, or it is dead
// and has left something behind.
type Beginning struct {
	Name   string
	Config string // path of its configuration, without symbolic links; "" for none
}

// Began lists the nodes of this user that were started and not taken down, in
// alphabetical order.
func Began() ([]Beginning, error) {
	names, err := journals(RunDir())
	if err != nil {
		return nil, err
	}
	var all []Beginning
	for _, name := range names {
		// One that cannot be read any more has ended meanwhile, or its own command
		// says what is wrong with it.
		b := Beginning{Name: name}
		if j, err := plan.OpenJournal(journalPath(RunDir(), name)); err == nil {
			b.Config = j.Config
		} else if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		all = append(all, b)
	}
	return all, nil
}

func recoverOne(ctx context.Context, name string, o DownOptions) error {
	j, err := plan.OpenJournal(journalPath(o.RunDir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	switch alive, err := j.Process.Alive(); {
	case err != nil:
		return err
	case alive:
		say(o.Out, "[!] left as it is: process %d serves %s", j.Process.PID, name)
		return nil
	}
	return undoDead(ctx, o.RunDir, j, o.Shell, o.Out, "")
}

// orphans deals with kill switches that no journal tells of, and that have no
// interface: nobody else would find out why the host is cut off. One by name is
// deleted, of the others it is said how.
func orphans(name string, o DownOptions) error {
	if nftables.Available() != nil {
		return nil // then there are none
	}
	links, err := nftables.KillSwitches()
	if err != nil {
		return err
	}
	known, err := journals(o.RunDir)
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range links {
		_, err := link.ByName(l)
		switch {
		case slices.Contains(known, l) || err == nil:
		case !errors.Is(err, link.ErrNotFound):
			errs = append(errs, err)
		case l == name:
			s := plan.Step{Op: plan.OpKillSwitch, Link: l}
			if err := (plan.System{}).DeleteKillSwitch(l); err != nil {
				errs = append(errs, err)
				continue
			}
			say(o.Out, "[#] %s", s.UndoString())
		case name == "":
			say(o.Out, "[!] the kill switch of %s is no known node's: `wgnode recover %s` removes it", l, l)
		}
	}
	return errors.Join(errs...)
}
