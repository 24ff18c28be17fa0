package diagnosis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/repair"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/fix"
)

// fixOptions are the flags of commands that can apply the fix that they print.
type fixOptions struct{ fix, yes bool }

func (o *fixOptions) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.fix, "fix", false, "apply the fix, after a question; \"wgnode undo\" reverts it")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "with --fix: do not ask, and apply only the fix of a verdict that is certain")
}

// errNobodyToAsk: --fix asks, and there is only a script.
var errNobodyToAsk = errors.New("--fix asks before it changes anything, and standard input is not a terminal")

// check is for before the question is worth asking. It needs root.
func (o *fixOptions) check(cmd *cobra.Command) error {
	switch {
	case o.yes && !o.fix:
		return cli.NewUsageError(cmd, errors.New("--yes needs --fix"))
	case !o.fix:
		return nil
	case !o.yes && !canAsk(cmd):
		return cli.WithHint(errNobodyToAsk, "add --yes to apply it without a question")
	}
	return cli.BecomeRoot(cmd)
}

func canAsk(cmd *cobra.Command) bool {
	in, ok := cmd.InOrStdin().(*os.File)
	return ok && cli.IsTerminal(in)
}

// ask has the user answer yes or no; anything else is no.
func ask(cmd *cobra.Command, question string) (bool, error) {
	if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", question); err != nil {
		return false, err
	}
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}

// applied is what became of a fix. Its JSON form is part of what explain and doctor print.
type applied struct {
	ID    int           `json:"id,omitempty"` // of the fix in the journal, 0 if nothing was done here
	Steps []appliedStep `json:"steps"`
	Error string        `json:"error,omitempty"` // why it failed; then nothing of it is left
	// After is the verdict when the question was asked again, if something was done.
	After *diagnose.Verdict `json:"after,omitempty"`

	there int // as ID, on the other host
}

// appliedStep is one step that changes something.
type appliedStep struct {
	Host string `json:"host,omitempty"` // where, if not here
	Line string `json:"line"`
	Done bool   `json:"done"`
	Why  string `json:"why,omitempty"` // it is left to the user
}

// patient is a fault that is to be mended.
type patient struct {
	link, code string
	steps      fix.Steps
	certain    bool
	// again asks the question once more.
	again func(ctx context.Context) (*diagnose.Verdict, error)
	// there is the other host, nil if it cannot be reached, and thereName what the steps
	// call it.
	there     *withOptions
	thereName string
}

// apply does what can be done of a fix, asks again, and says what came of it on standard
// error. What it returns is never nil; its After is, if nothing was done.
func (o *fixOptions) apply(cmd *cobra.Command, p *patient) (*applied, error) {
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	plan := repair.Plan(ctx, p.steps, "")
	var far fix.Steps
	if p.there != nil && p.thereName != "" {
		far = stepsOf(p.steps, p.thereName)
	}
	here := repair.Doable(plan)
	a := &applied{Steps: []appliedStep{}}
	for i := range plan {
		if s := plan[i].Step; plan[i].Why != "" && (len(far) == 0 || s.Where.Host != p.thereName) {
			a.Steps = append(a.Steps, appliedStep{Host: s.Where.Host, Line: s.Line(), Why: plan[i].Why})
		}
	}
	yes, err := o.agreed(cmd, p, a, here, far)
	if err != nil || !yes {
		return a, err
	}
	if err := p.applyHere(ctx, cmd, a, here); err != nil {
		return a, err
	}
	if len(far) > 0 {
		if err := p.applyThere(ctx, cmd, a, far); err != nil {
			return a, errors.Join(err, p.undo(ctx, cmd, a))
		}
	}
	// What was just made may take the kernel a moment: an address of IPv6 is not used before
	// it is known that no other host has it.
	for range 2 {
		if a.After, err = p.again(ctx); err != nil {
			return a, fmt.Errorf("look whether it has helped: %w", err)
		}
		if a.After.Healthy() {
			break
		}
	}
	return a, o.outcome(ctx, cmd, p, a)
}

// ownSteps are steps that call this host by its name, without that.
func ownSteps(steps fix.Steps, here string) fix.Steps {
	own := slices.Clone(steps)
	for i := range own {
		if own[i].Where.Host == here {
			own[i].Where.Host = ""
		}
	}
	return own
}

// stepsOf are the steps of one host, with the notes above them.
func stepsOf(steps fix.Steps, host string) fix.Steps {
	var of fix.Steps
	found := false
	for _, s := range steps {
		switch {
		case s.Kind == fix.KindNote:
			of = append(of, s)
		case s.Where.Host == host:
			of = append(of, s)
			found = found || s.Kind != fix.KindCheck
		}
	}
	if !found {
		return nil
	}
	return of
}

// agreed says what would be done, and reports whether it is to be.
func (o *fixOptions) agreed(cmd *cobra.Command, p *patient, a *applied, here, far fix.Steps) (bool, error) {
	say := sayer(cmd)
	for _, s := range a.Steps {
		say("left to you: %s (%s)", s.Line, s.Why)
	}
	n := len(here)
	for _, s := range far {
		if s.Kind == fix.KindCommand || s.Kind == fix.KindConfig {
			n++
		}
	}
	switch {
	case n == 0:
		say("nothing of this fix can be applied")
		return false, nil
	case o.yes && !p.certain:
		why := "the verdict is not certain, so that --yes does not apply it"
		for _, s := range append(here, far...) {
			if s.Kind == fix.KindCommand || s.Kind == fix.KindConfig {
				a.Steps = append(a.Steps, appliedStep{Host: s.Where.Host, Line: s.Line(), Why: why})
			}
		}
		say("nothing is applied: %s", why)
		return false, nil
	case o.yes:
		return true, nil
	}
	for _, s := range here {
		say("to apply%s: %s", s.Where.InFile(), s.Line())
	}
	for _, s := range far {
		if s.Kind == fix.KindCommand || s.Kind == fix.KindConfig {
			say("to apply on %s%s: %s", p.thereName, s.Where.InFile(), s.Line())
		}
	}
	if !p.certain {
		say("the verdict is not certain")
	}
	return ask(cmd, fmt.Sprintf("Apply %d step(s)?", n))
}

// sayer prints lines for the user beside a report.
func sayer(cmd *cobra.Command) func(format string, args ...any) {
	return func(format string, args ...any) {
		// A terminal that has gone needs no word.
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "wgnode: "+format+"\n", args...)
	}
}

// applyHere does the steps of this host. A fix that fails leaves nothing.
func (p *patient) applyHere(ctx context.Context, cmd *cobra.Command, a *applied, steps fix.Steps) error {
	if len(steps) == 0 {
		return nil
	}
	say := sayer(cmd)
	r, err := Fixes().Apply(ctx, p.link, p.code, steps, func(line string) { say("[#] %s", line) })
	if err != nil {
		a.Error = err.Error()
		return err
	}
	a.ID = r.ID
	for i := range r.Deeds {
		a.Steps = append(a.Steps, appliedStep{Line: r.Deeds[i].Step, Done: true})
	}
	return nil
}

// undo takes back what was applied here.
func (p *patient) undo(ctx context.Context, cmd *cobra.Command, a *applied) error {
	if a.ID == 0 {
		return nil
	}
	say := sayer(cmd)
	err := Fixes().Undo(context.WithoutCancel(ctx), repair.Record{ID: a.ID}, func(line string) { say("%s", line) })
	if err == nil {
		a.ID = 0
		for i := range a.Steps {
			a.Steps[i].Done = a.Steps[i].Done && a.Steps[i].Host != ""
		}
	}
	return err
}

// outcome says whether the fix has helped, and offers to undo it if not.
func (o *fixOptions) outcome(ctx context.Context, cmd *cobra.Command, p *patient, a *applied) error {
	say := sayer(cmd)
	if a.After.Healthy() {
		say("healthy now; `wgnode undo` reverts the fix")
		return nil
	}
	say("it has not helped, or not alone: %s: %s", a.After.Code, a.After.Summary)
	if o.yes || !canAsk(cmd) {
		say("`wgnode undo` reverts the fix")
		return nil
	}
	yes, err := ask(cmd, "Undo it?")
	if err != nil || !yes {
		return err
	}
	if err := p.undoThere(ctx, cmd, a); err != nil {
		return err
	}
	return p.undo(ctx, cmd, a)
}

// status is how a command ends that has applied a fix: as its question was answered
// last.
func (a *applied) status(before error) error {
	if a.After == nil {
		return before
	}
	return verdictStatus(a.After)
}
