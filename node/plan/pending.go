package plan

import (
	"context"
	"fmt"
	"slices"
)

// Pending says what [Runner.Change] would do to the host, in its words and their order, and
// changes nothing. The Device is to say what it would do, and not to do it.
func (r *Runner) Pending(ctx context.Context, steps []Step, j *Journal) error {
	l, err := r.Kernel.Link(j.Link)
	if err != nil {
		return err
	}
	if steps, err = j.inherit(steps); err != nil {
		return err
	}
	c := change{Runner: r.on(j), journal: j, link: l, old: slices.Clone(j.Steps), steps: steps}
	c.compare()
	differ, err := Differences(ctx, c.Kernel, c.link, c.kept)
	if err != nil {
		return fmt.Errorf("compare %s: %w", c.link.Name, err)
	}
	for _, d := range differ {
		if c.Leave == nil || !c.Leave(d) {
			c.say("[!] changed by another program: %s", d.What)
			c.say("%s", d.Step.Line(c.Explain))
		}
	}
	return c.pending(ctx)
}

// pending is do, and nothing is done.
func (c *change) pending(ctx context.Context) error {
	routes := slices.IndexFunc(c.added, func(s Step) bool { return s.Op == OpRoute })
	if routes < 0 {
		routes = len(c.added)
	}
	sayAll := func(steps []Step) error {
		for _, s := range steps {
			if s.Op == OpConfigure {
				if err := c.Device.Configure(ctx, s.Mark); err != nil {
					return err
				}
				continue
			}
			c.say("%s", s.Line(c.Explain))
		}
		return nil
	}
	sayUndone := func(addresses bool) {
		for _, s := range slices.Backward(c.removed) {
			if u := s.UndoString(); u != "" && addresses == (s.Op == OpAddress) {
				c.say("[#] %s", u)
			}
		}
	}
	if err := sayAll(c.added[:routes]); err != nil {
		return err
	}
	sayUndone(true)
	if err := sayAll(c.added[routes:]); err != nil {
		return err
	}
	sayUndone(false)
	return sayAll(c.again)
}
