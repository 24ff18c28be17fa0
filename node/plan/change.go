package plan

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"syscall"

	"github.com/wgnode/wgnode/node/link"
)

// Except makes s the state of a host on which steps had not been done: what a
// node finds when it looks for the difference that another configuration makes
// is its own work, too.
func (s *State) Except(steps []Step) {
	s.LinkExists = false
	for _, step := range steps {
		switch step.Op {
		case OpConfigure:
			if step.Mark != 0 {
				s.Default.FreeTable = int(step.Mark)
			}
		case OpMarked:
			f, _ := s.Default.family(step.Prefix)
			f.Priority = step.Priority
		case OpDNS:
			if step.DNS.Kind == s.Resolver.Kind {
				s.Resolver.Before = step.DNS.Before
			}
		case OpSysctl:
			s.Forward.except(step)
		}
	}
}

// Change makes of a host on which the journal's steps were done one on which
// steps were: it does what is new, in order, and undoes what is no more, in
// reverse. The steps that [Build] made must fit a state that [State.Except] has
// worked on. The device is always configured; it finds out by itself what
// differs. Hooks are not run.
//
// If something fails or ctx ends, all is undone but the configuration of the
// device, which is the caller's concern. While it works the journal holds the
// old and the new.
func (r *Runner) Change(ctx context.Context, steps []Step, j *Journal) error {
	l, err := r.Kernel.Link(j.Link)
	if err != nil {
		return err
	}
	if l.Index != j.LinkIndex {
		return fmt.Errorf("change %s: it is another link now", j.Link)
	}
	if steps, err = j.inherit(steps); err != nil {
		return err
	}
	c := change{Runner: r.on(j), journal: j, link: l, old: slices.Clone(j.Steps), steps: steps}
	c.compare()
	if err := j.begin(c.added...); err != nil {
		return err
	}
	if err := c.restore(ctx); err != nil {
		return errors.Join(err, j.replace(c.old))
	}
	if err := c.do(ctx); err != nil {
		err = errors.Join(err, c.rollBack(context.WithoutCancel(ctx)))
		return errors.Join(err, j.replace(c.old))
	}
	return j.replace(slices.DeleteFunc(slices.Clone(steps), func(s Step) bool { return s.Skip != "" }))
}

// change is one run of Change.
type change struct {
	*Runner
	journal    *Journal
	link       link.Link
	old, steps []Step
	kept       []Step // as they are
	added      []Step // to be done, in order
	again      []Step // to be done once more after all that, in order
	removed    []Step // to be undone, in order of the old
	done       []Step // of added
	undone     []Step // of removed
}

// compare finds what is new and what is no more.
func (c *change) compare() {
	// A hub has thousands of steps: each is put into words once, by what same compares
	// least of, and compared once.
	words := func(steps []Step) (all []string, at map[string][]int) {
		all, at = make([]string, len(steps)), make(map[string][]int, len(steps))
		for i := range steps {
			all[i] = steps[i].String()
			at[all[i]] = append(at[all[i]], i)
		}
		return all, at
	}
	olds, had := words(c.old)
	news, wants := words(c.steps)
	in := func(list []Step, at []int, s *Step) bool {
		return slices.ContainsFunc(at, func(i int) bool { return same(*s, list[i]) })
	}
	changed := make(map[Op]bool)
	for i := range c.old {
		s := &c.old[i]
		wanted := slices.DeleteFunc(slices.Clone(wants[olds[i]]), func(i int) bool { return c.steps[i].Skip != "" })
		if s.Op != OpHook && !in(c.steps, wanted, s) {
			changed[s.Op] = true
			c.removed = append(c.removed, *s)
		}
	}
	there := make([]bool, len(c.steps))
	for i := range c.steps {
		s := &c.steps[i]
		if s.Op == OpHook || s.Skip != "" {
			continue
		}
		if there[i] = in(c.old, had[news[i]], s); !there[i] {
			changed[s.Op] = true
		}
	}
	for i, s := range c.steps {
		switch {
		case s.Op == OpHook || s.Op == OpLink || s.Skip != "":
		case s.Op == OpConfigure, !there[i]:
			c.added = append(c.added, s)
			if f := operations[s.Op].follows; slices.ContainsFunc(c.removed, func(old Step) bool { return old.Op == f }) {
				c.again = append(c.again, s) // it is done before those are gone
			}
		case changed[operations[s.Op].follows]:
			c.again = append(c.again, s)
		default:
			c.kept = append(c.kept, s)
		}
	}
	// What is done anew takes the place of what was.
	c.removed = slices.DeleteFunc(c.removed, func(s Step) bool {
		return s.Op == OpConfigure || operations[s.Op].replaces && slices.ContainsFunc(c.added, s.takesPlaceOf)
	})
}

// same reports whether two steps do the same.
func same(a, b Step) bool {
	for _, s := range []*Step{&a, &b} {
		s.Why, s.Skip, s.Note, s.Command = "", "", "", ""
	}
	return reflect.DeepEqual(a, b)
}

// takesPlaceOf reports whether there can be only one of the two: they set the
// same thing, perhaps to different values.
func (s Step) takesPlaceOf(t Step) bool {
	if s.Op == OpDNS && t.Op == OpDNS {
		return s.DNS.Kind == t.DNS.Kind && s.DNS.Record == t.DNS.Record
	}
	return s.Op == t.Op && s.Prefix.Addr().Is4() == t.Prefix.Addr().Is4()
}

// restore does those steps again of which others have changed something. It is
// not undone if the change fails.
func (c *change) restore(ctx context.Context) error {
	differ, err := Differences(ctx, c.Kernel, c.link, c.kept)
	if err != nil {
		return fmt.Errorf("change %s: %w", c.link.Name, err)
	}
	var done []Step
	for _, d := range differ {
		if c.Leave != nil && c.Leave(d) {
			continue
		}
		c.say("[!] changed by another program: %s", d.What)
		if slices.ContainsFunc(done, func(s Step) bool { return same(s, d.Step) }) {
			continue // of one step several things may differ
		}
		done = append(done, d.Step)
		c.say("%s", d.Step.Line(c.Explain))
		if err := c.Runner.restore(ctx, d.Step, &c.link); err != nil && !errors.Is(err, syscall.EEXIST) {
			return err
		}
	}
	return nil
}

func (c *change) do(ctx context.Context) error {
	// Addresses bring routes with them. The old ones have to be gone before new
	// routes are added, but not before there are new addresses: with the last
	// one of a family go all its routes.
	isAddress := func(s Step) bool { return s.Op == OpAddress }
	routes := slices.IndexFunc(c.added, func(s Step) bool { return s.Op == OpRoute })
	if routes < 0 {
		routes = len(c.added)
	}
	for _, s := range c.added[:routes] {
		// Nor does IPv6 let an address be there twice, in networks of two sizes.
		err := c.undoThose(func(old Step) bool { return isAddress(old) && isAddress(s) && old.Prefix.Addr() == s.Prefix.Addr() })
		if err != nil {
			return err
		}
		c.done = append(c.done, s)
		if err := c.doOne(ctx, s); err != nil {
			return err
		}
	}
	if err := c.undoThose(isAddress); err != nil {
		return err
	}
	if err := c.ensure(ctx, slices.Concat(c.done, c.kept), c.undone); err != nil {
		return err
	}
	for _, s := range c.added[routes:] {
		c.done = append(c.done, s)
		if err := c.doOne(ctx, s); err != nil {
			return err
		}
	}
	if err := c.undoThose(func(s Step) bool { return !isAddress(s) }); err != nil {
		return err
	}
	for _, s := range c.again {
		if err := c.doOne(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// undoThose undoes, last first, the removed steps that which picks.
func (c *change) undoThose(which func(Step) bool) error {
	for _, s := range slices.Backward(c.removed) {
		if !which(s) || slices.ContainsFunc(c.undone, func(u Step) bool { return same(s, u) }) {
			continue
		}
		c.undone = append(c.undone, s)
		switch err := c.undo(s, c.link); {
		case leftAlone(err):
			c.say("[!] left as it is: %v", err)
		case err != nil && !gone(err):
			return err
		default:
			if u := s.Undone(c.Kernel); u != "" {
				c.say("[#] %s", u)
			}
		}
	}
	return nil
}

func (c *change) doOne(ctx context.Context, s Step) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("change %s: %w", c.link.Name, err)
	}
	if s.Op != OpConfigure { // what it does is for the device to tell
		c.say("%s", s.Line(c.Explain))
	}
	return c.Runner.do(ctx, s, &c.link)
}

// ensure does the addresses and routes of steps again if addresses were
// deleted: with one address the kernel deletes others of the same network, and
// with the last of a family all routes.
func (c *change) ensure(ctx context.Context, steps, deleted []Step) error {
	if !slices.ContainsFunc(deleted, func(s Step) bool { return s.Op == OpAddress }) {
		return nil
	}
	for _, s := range steps {
		if s.Op != OpAddress && s.Op != OpRoute || s.Skip != "" {
			continue
		}
		if err := c.Runner.do(ctx, s, &c.link); err != nil && !errors.Is(err, syscall.EEXIST) {
			return err
		}
	}
	return nil
}

// rollBack undoes what do has done. Of what took the place of something the
// old is done again.
func (c *change) rollBack(ctx context.Context) error {
	c.say("[!] it failed, what was changed is put back")
	var errs []error
	again := func(s Step) {
		if err := c.Runner.do(ctx, s, &c.link); err != nil && !errors.Is(err, syscall.EEXIST) {
			errs = append(errs, err)
		}
	}
	replaced := slices.DeleteFunc(slices.Clone(c.again), func(s Step) bool {
		return slices.ContainsFunc(c.added, func(new Step) bool { return same(new, s) })
	})
	for _, s := range slices.Backward(c.done) {
		if s.Op == OpConfigure {
			continue
		}
		if i := slices.IndexFunc(c.old, s.takesPlaceOf); operations[s.Op].replaces && i >= 0 {
			replaced = append(replaced, c.old[i])
			continue
		}
		if err := c.undo(s, c.link); err != nil && !gone(err) && !leftAlone(err) {
			errs = append(errs, err)
		}
	}
	for _, s := range c.undone {
		again(s)
	}
	if err := c.ensure(ctx, c.old, slices.Concat(c.done, c.undone)); err != nil {
		errs = append(errs, err)
	}
	for _, s := range replaced {
		again(s)
	}
	return errors.Join(errs...)
}
