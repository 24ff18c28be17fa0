package plan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/link"
)

// Runner does steps and undoes them. It belongs to one goroutine at a time.
type Runner struct {
	Kernel Kernel
	Device Device // not needed for Undo
	// Shell runs hooks; not needed for Undo.
	Shell hook.Shell
	// Out gets a line "[#] COMMAND" for each step as it is done or undone, and
	// "[!] ..." for each one that is skipped. Nil is for none.
	Out io.Writer
	// Explain adds to the line of each step why it is there.
	Explain bool
	// Leave reports, if not nil, whether Change is to leave something as others
	// have made it.
	Leave func(Difference) bool
	// Replan, if not nil, is asked after the PreUp hooks for all steps once more:
	// hooks may have changed what the plan was made from.
	Replan func(ctx context.Context) ([]Step, error)

	counted *parameters // of the journal that is worked on
	ran     *[]Step     // the hooks that Apply has begun
}

// on returns a Runner for the steps of a journal.
func (r *Runner) on(j *Journal) *Runner {
	its := *r
	its.counted = &parameters{kernel: r.Kernel, own: j}
	return &its
}

// Apply does the steps in order, each one recorded in the journal before it is
// done. If one fails, or ctx ends, it undoes what it did and removes the
// journal; the error then is that of the step, or of the context, together
// with what could not be undone. The Device is left for the caller to close. What
// hooks did stays: Out gets a line for each that ran.
//
// A kill switch of a journal that was taken over, see [Journal.TakeOver], is
// replaced by the one that steps have; if Apply fails it stays, with its journal.
func (r *Runner) Apply(ctx context.Context, steps []Step, j *Journal) error {
	its, ran := *r, []Step{}
	its.ran = &ran
	err := its.atOnce(func(r *Runner) error { return r.on(j).apply(ctx, steps, j) })
	if err == nil {
		if err = j.complete(); err == nil {
			return nil
		}
	}
	defer func() { r.sayRan(ran) }()
	// What ended ctx must not keep its effects from being undone.
	ctx = context.WithoutCancel(ctx)
	if j.tookOver {
		return errors.Join(err, r.UndoExcept(ctx, j, OpKillSwitch))
	}
	return errors.Join(err, r.Undo(ctx, j))
}

// sayRan says what nobody but their author can undo of an Apply that has failed.
func (r *Runner) sayRan(hooks []Step) {
	if len(hooks) == 0 {
		return
	}
	for _, s := range hooks {
		at := ""
		if s.At != "" {
			at = " (" + s.At + ")"
		}
		r.say("[!] not undone: what %s%s did: %s", s.Phase, at, s.Command)
	}
	r.say("[!] PreDown and PostDown were not run: as with wg-quick, they are for a tunnel that was up")
}

// atOnce calls f with a Runner that is fast at many steps.
func (r *Runner) atOnce(f func(r *Runner) error) error {
	k, ok := r.Kernel.(busy)
	if !ok {
		return f(r)
	}
	kernel, end, err := k.begin()
	if err != nil {
		return err
	}
	defer end()
	fast := *r
	fast.Kernel = kernel
	return f(&fast)
}

func (r *Runner) apply(ctx context.Context, steps []Step, j *Journal) (err error) {
	l := link.Link{Name: j.Link}
	done := len(j.Steps)
	// What was recorded and then not done need not be undone. The file may
	// hold too much until it is written again.
	defer func() { j.Steps = j.Steps[:done] }()

	if steps, err = j.inherit(steps); err != nil {
		return err
	}
	for len(steps) > 0 {
		s := steps[0]
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("bring %s up: %w", j.Link, err)
		}
		if s.Link != j.Link {
			return fmt.Errorf("%s: the journal is for %s", s, j.Link)
		}
		r.say("%s", s.Line(r.Explain))
		if s.Skip != "" {
			steps = steps[1:]
			continue
		}
		if j.tookOver && s.Op == OpKillSwitch {
			if err := r.do(ctx, s, &l); err != nil {
				return err
			}
			j.Steps[0] = s // the file has it, see TakeOver
			steps = steps[1:]
			continue
		}
		if done == len(j.Steps) {
			if err := j.begin(recordTogether(steps)...); err != nil {
				return err
			}
		}
		if err := r.do(ctx, s, &l); err != nil {
			return err
		}
		j.LinkIndex = l.Index
		done++
		if steps = steps[1:]; s.isPreUp() && !slices.ContainsFunc(steps, Step.isPreUp) {
			if steps, err = r.replan(ctx, steps, j, &l); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s Step) isPreUp() bool { return s.Op == OpHook && s.Phase == hook.PreUp }

// replan returns what is to be done after the PreUp hooks: rest, unless those have
// changed what that was made from. A step that is done already, and now is another,
// is done again if it replaces itself: the kill switch, which goes by the mark.
func (r *Runner) replan(ctx context.Context, rest []Step, j *Journal, l *link.Link) ([]Step, error) {
	switch now, err := r.Kernel.Link(j.Link); {
	case errors.Is(err, link.ErrNotFound), err == nil && now.Index != l.Index:
		return nil, fmt.Errorf("configure %s: %w", j.Link, ErrLinkGone)
	case err != nil:
		return nil, err
	}
	if r.Replan == nil {
		return rest, nil
	}
	steps, err := r.Replan(ctx)
	if err != nil {
		return nil, err
	}
	last := 0
	for i, s := range steps {
		if s.isPreUp() {
			last = i
		}
	}
	for _, s := range steps[:last] {
		i := slices.IndexFunc(j.Steps, s.takesPlaceOf)
		if !operations[s.Op].replaces || s.Skip != "" || i < 0 || same(s, j.Steps[i]) {
			continue
		}
		r.say("%s", s.Line(r.Explain))
		j.Steps[i] = s
		if err := j.replace(j.Steps); err != nil {
			return nil, err
		}
		if err := r.do(ctx, s, l); err != nil {
			return nil, err
		}
	}
	return j.inherit(steps[last+1:])
}

// recordTogether returns the first of steps, and those after it that may as
// well be recorded in one writing of the file.
func recordTogether(steps []Step) []Step {
	if !operations[steps[0].Op].together {
		return steps[:1]
	}
	var together []Step
	for _, s := range steps {
		if s.Op != steps[0].Op || s.Link != steps[0].Link {
			break
		}
		if s.Skip == "" {
			together = append(together, s)
		}
	}
	return together
}

// Undo undoes in reverse all that the journal holds, also if another process
// did it, and removes the journal. What is already gone counts as undone. If
// something cannot be undone it goes on with the rest, and the journal keeps
// what is left, for another try.
//
// The process that the journal names must have ended, or be the caller: a node
// that lives would find its link pulled away.
func (r *Runner) Undo(ctx context.Context, j *Journal) error { return r.UndoExcept(ctx, j, "") }

// UndoExcept is Undo, but leaves what steps of the given kind did. If there is
// any, the journal stays and holds them; it then names no process.
func (r *Runner) UndoExcept(ctx context.Context, j *Journal, except Op) error {
	r = r.on(j)
	here, err := r.look(j)
	if err != nil {
		return err
	}
	// What is on the link is gone with it, thousands of routes at once.
	whole := slices.ContainsFunc(j.Steps, func(s Step) bool { return s.Op == OpLink })
	var left []Step // last first
	var errs []error
	for i, s := range slices.Backward(j.Steps) {
		if err := context.Cause(ctx); err != nil {
			errs = append(errs, fmt.Errorf("take %s down: %w", j.Link, err))
			for _, s := range slices.Backward(j.Steps[:i+1]) {
				left = append(left, s)
			}
			break
		}
		if s.Op == except {
			left = append(left, s)
			continue
		}
		if !here.remains(s) || whole && goesWithLink(s) {
			continue
		}
		switch err := r.undo(s, here.link); {
		case leftAlone(err):
			r.say("[!] left as it is: %v", err)
		case err == nil:
			if u := s.Undone(r.Kernel); u != "" {
				r.say("[#] %s", u)
			}
		case !gone(err):
			left = append(left, s)
			errs = append(errs, err)
		}
	}
	slices.Reverse(left)
	if except != "" {
		j.Process, j.Complete = Process{}, false
	}
	return errors.Join(append(errs, j.keep(left))...)
}

// whatIs is what has become of the link that is to be undone.
type whatIs struct {
	link  link.Link
	ours  bool // the link is there, and ours
	taken bool // somebody else's link has the name
}

func (r *Runner) look(j *Journal) (whatIs, error) {
	l, err := r.Kernel.Link(j.Link)
	if errors.Is(err, link.ErrNotFound) {
		return whatIs{}, nil
	}
	ours := err == nil && l.Index == j.LinkIndex
	return whatIs{l, ours, !ours}, err
}

// remains reports whether there may be something of a step to be undone. What
// is on the link went with it. Of a step that only a later release knows something may.
func (w whatIs) remains(s Step) bool {
	o, ok := operations[s.Op]
	switch {
	case !ok:
		return true
	case o.stays != nil:
		return o.stays(s, w)
	}
	return w.ours
}

// goesWithLink reports whether deleting the link undoes the step.
func goesWithLink(s Step) bool {
	o, ok := operations[s.Op]
	return ok && s.Op != OpLink && o.stays == nil
}

// say prints one line. Nobody listening is no reason to stop half-way, so a
// failed write is not an error.
func (r *Runner) say(format string, args ...any) {
	if r.Out != nil {
		_, _ = fmt.Fprintf(r.Out, format+"\n", args...)
	}
}
