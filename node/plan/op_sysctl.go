package plan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/wgnode/wgnode/node/link"
)

// Kernel parameters belong to all of the host, so another node may need the same
// value. Then the step that is undone last restores what was there before the
// first: see [operation.shared].
var sysctlOperation = operation{
	command: func(s Step) string { return fmt.Sprintf("sysctl -q %s=%s", s.Sysctl, s.Value) },
	undoCommand: func(s Step) string {
		if s.Before == s.Value {
			return ""
		}
		return fmt.Sprintf("sysctl -q %s=%s", s.Sysctl, s.Before)
	},
	do: func(_ context.Context, r *Runner, s Step, _ *link.Link) error {
		return r.Kernel.SetSysctl(s.Sysctl, s.Value)
	},
	undo: func(r *Runner, s Step, _ link.Link) error {
		if s.Before == s.Value {
			// Something that was turned off since may have changed it.
			return r.Kernel.SetSysctl(s.Sysctl, s.Value)
		}
		return r.Kernel.ResetSysctl(s.Sysctl, s.Value, s.Before)
	},
	differs: func(_ context.Context, p Present, s Step, _ link.Link) ([]string, error) {
		return parameterDiffers(p, s.Sysctl, s.Value)
	},
	stays:  always,
	left:   leftParameters,
	shared: true,
}

func parameterDiffers(p Present, name, want string) ([]string, error) {
	value, err := p.Sysctl(name)
	if err != nil || value == want {
		return nil, err
	}
	return []string{fmt.Sprintf("sysctl %s is %s instead of %s", name, value, want)}, nil
}

// inherit returns steps that are about to be done, with what another node found
// before it did the same one: that it is done already is that one's doing.
func (j *Journal) inherit(steps []Step) ([]Step, error) {
	isShared := func(s Step) bool { return operations[s.Op].shared }
	if !slices.ContainsFunc(steps, isShared) {
		return steps, nil
	}
	steps = slices.Clone(steps)
	err := j.eachOther(func(other *Journal) error {
		for i, s := range steps {
			if its, ok := other.find(s); ok && isShared(s) {
				steps[i].Before = its.Before
			}
		}
		return nil
	})
	return steps, err
}

// neededBy returns the name of another node that lives and has done the same
// step, or "". One whose link is gone is about to end.
func (j *Journal) neededBy(s Step, k Kernel) (name string, err error) {
	err = j.eachOther(func(other *Journal) error {
		if _, ok := other.find(s); !ok {
			return nil
		}
		if alive, err := other.Process.Alive(); err != nil || !alive {
			return err
		}
		if other.LinkIndex != 0 {
			switch l, err := k.Link(other.Link); {
			case errors.Is(err, link.ErrNotFound), err == nil && l.Index != other.LinkIndex:
				return nil
			case err != nil:
				return err
			}
		}
		name = other.Link
		return nil
	})
	return name, err
}

// find returns the step of the journal that sets the same parameter to the same
// value as s.
func (j *Journal) find(s Step) (Step, bool) {
	for _, its := range j.Steps {
		if its.Op == s.Op && its.Sysctl == s.Sysctl && its.Value == s.Value {
			return its, true
		}
	}
	return Step{}, false
}

// eachOther calls f for each other journal in the same folder. One that vanishes
// meanwhile is none.
func (j *Journal) eachOther(f func(*Journal) error) error {
	paths, err := filepath.Glob(filepath.Join(filepath.Dir(j.path), "*.json"))
	if err != nil {
		return fmt.Errorf("list journals: %w", err)
	}
	for _, path := range paths {
		if filepath.Clean(path) == filepath.Clean(j.path) {
			continue
		}
		other, err := OpenJournal(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			continue
		}
		if err == nil {
			err = f(other)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
