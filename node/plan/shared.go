package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/internal/sysctl"
	"github.com/wgnode/wgnode/node/safefile"
)

// parameters counts who uses which kernel parameter. What the first user found is
// kept in a file beside the journals, which is there as long as there are users,
// and is changed under a lock: so the last one restores it in whatever order they
// end. A node that has died is a user no more, but for what its rules need.
//
// If somebody else changes a parameter it is theirs from then on: what they have
// set is what the next user finds, and nobody restores anything over it.
type parameters struct {
	kernel Kernel
	own    *Journal // of the user that takes and releases
}

// parameter is one in the file.
type parameter struct {
	Value  string `json:"value"`  // that the users need
	Before string `json:"before"` // what is to be restored
	// Keep says that the users need only what the parameter was: another one's
	// end changes it. Changed says that somebody else has changed it before that.
	Keep    bool     `json:"keep,omitempty"`
	Changed bool     `json:"changed,omitempty"`
	Users   []string `json:"users"` // names of nodes
}

// take makes the own node a user of what s sets, and sets it.
func (p *parameters) take(s Step) error {
	name, value := s.parameter()
	return p.locked(func(all map[string]*parameter, write func() error) error {
		now, err := p.kernel.Sysctl(name)
		if err != nil {
			return err
		}
		key := keyOf(name)
		was := all[key]
		e := &parameter{Value: value, Before: now, Keep: s.keeps(), Users: []string{p.own.Link}}
		if was != nil {
			e.Users = append(e.Users, slices.DeleteFunc(slices.Clone(was.Users), func(u string) bool { return u == p.own.Link })...)
			if now == was.Value { // else it is somebody else's by now
				e.Before, e.Changed = was.Before, was.Changed
			} else if e.Keep {
				e.Changed = true
			}
		}
		if e.Keep {
			value, e.Value = now, now
		}
		all[key] = e
		// First, as the process may be killed in between.
		if err := write(); err != nil || now == value {
			return err
		}
		if err = p.kernel.SetSysctl(name, value); err == nil {
			return nil
		}
		if all[key] = was; was == nil {
			delete(all, key)
		}
		return errors.Join(err, write())
	})
}

// release ends the use of what s sets. If there is nobody else, what was there
// before is restored. The error wraps [ErrInUse] if it is not, and errNothing if
// it is so already.
func (p *parameters) release(s Step) error {
	name, _ := s.parameter()
	return p.locked(func(all map[string]*parameter, write func() error) error {
		e := all[keyOf(name)]
		if e == nil || !slices.Contains(e.Users, p.own.Link) {
			// Another one was the last while this one was dead, or it was killed
			// before it had set anything.
			return fmt.Errorf("restore %s: %w", name, errNothing)
		}
		rest := slices.DeleteFunc(slices.Clone(e.Users), func(u string) bool { return u == p.own.Link })
		alive, err := p.living(rest)
		if err != nil {
			return err
		}
		if len(alive) > 0 {
			e.Users = rest
			return errors.Join(fmt.Errorf("%s: %w: %s", s, ErrInUse, strings.Join(alive, ", ")), write())
		}
		err = p.restore(name, e, all)
		switch {
		case errors.Is(err, errRule) && len(rest) > 0:
			e.Users = rest // a dead one's, which is undone with it
		case err == nil || leftAlone(err) || gone(err):
			delete(all, keyOf(name))
		default:
			return err // it is tried again
		}
		return errors.Join(err, write())
	})
}

// errNothing: there is nothing to restore.
var errNothing = errors.New("it was not changed")

// errRule: a rule that is there needs the parameter.
var errRule = fmt.Errorf("%w", ErrInUse)

// restore gives a parameter back the value that it had.
func (p *parameters) restore(name string, e *parameter, all map[string]*parameter) error {
	now, err := p.kernel.Sysctl(name)
	switch {
	case err != nil:
		return err
	case e.Changed:
		return fmt.Errorf("sysctl %s was changed since: %w", name, ErrInUse)
	case e.Keep && now != e.Value: // another one's end has changed it
		return p.kernel.SetSysctl(name, e.Value)
	case now == e.Before:
		return fmt.Errorf("restore %s: %w", name, errNothing)
	case now != e.Value:
		return fmt.Errorf("sysctl %s=%s, which was set to %s here: %w", name, now, e.Value, ErrInUse)
	}
	if name == srcValidMark {
		// A rule of somebody who does not count, such as wg-quick.
		switch rule, err := p.kernel.MarkedRule(); {
		case err != nil:
			return err
		case rule != "":
			return fmt.Errorf("sysctl %s=1: the rule %s: %w", name, rule, errRule)
		}
	}
	if err := p.noteChanges(all); err != nil {
		return err
	}
	return p.kernel.SetSysctl(name, e.Before)
}

// noteChanges looks which of the parameters that are to be kept somebody else has
// changed. Once another one is restored that cannot be told any more.
func (p *parameters) noteChanges(all map[string]*parameter) error {
	for key, e := range all {
		name, here := nameOf(key)
		if !here || !e.Keep {
			continue
		}
		now, err := p.kernel.Sysctl(name)
		if err != nil && !gone(err) {
			return err
		}
		e.Changed = e.Changed || err == nil && now != e.Value
	}
	return nil
}

// living returns those of the users that live.
func (p *parameters) living(users []string) (alive []string, err error) {
	for _, u := range users {
		j, err := OpenJournal(filepath.Join(filepath.Dir(p.own.path), u+".json"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		lives := true // one that cannot be read may well
		if err == nil {
			if lives, err = j.Process.Alive(); err != nil {
				return nil, err
			}
		}
		if lives {
			alive = append(alive, u)
		}
	}
	return alive, nil
}

// keyOf names a parameter in the file. Those of a network are another network
// namespace's in another one, which may have the same folder.
func keyOf(name string) string { return sysctl.Namespace() + " " + name }

// nameOf is the opposite, and whether that is the namespace of the caller.
func nameOf(key string) (name string, here bool) {
	return strings.CutPrefix(key, sysctl.Namespace()+" ")
}

// locked calls f with the content of the file, while no other process has it, and
// with what writes it back.
func (p *parameters) locked(f func(all map[string]*parameter, write func() error) error) (err error) {
	path := filepath.Join(filepath.Dir(p.own.path), "parameters")
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	all := make(map[string]*parameter)
	defer func() {
		if len(all) == 0 { // with the lock held, so that it is nobody else's
			err = errors.Join(err, remove(path), remove(path+".lock"))
		}
		err = errors.Join(err, lock.Close()) // which unlocks
	}()
	// One that was killed while it wrote has left something; with the lock held
	// nobody else writes.
	if err := safefile.RemoveRemains(path); err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return f(all, func() error { return safefile.WriteJSON(path, false, all) })
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// lockFile makes a file, if need be, and waits until it is this process's alone.
// Who has it may remove it.
func lockFile(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
		if err != nil {
			return nil, err
		}
		err = safefile.Lock(f)
		mine, serr := f.Stat()
		if err = errors.Join(err, serr); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if there, err := os.Stat(path); err == nil && os.SameFile(mine, there) {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}
