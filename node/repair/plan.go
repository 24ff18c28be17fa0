package repair

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/wgnode/wgnode/probe/fix"
)

// Planned is a step of a fix, and whether this package does it.
type Planned struct {
	Step fix.Step
	// Why says why it is left to the user, "" if it is done. Notes and checks have none:
	// there is nothing to be done.
	Why string
}

// Does reports whether the step is to be done here.
func (p *Planned) Does() bool { return p.Why == "" && changes(p.Step) }

func changes(s fix.Step) bool { return s.Kind == fix.KindCommand || s.Kind == fix.KindConfig }

// Plan finds out which steps of a fix can be done on this host, and undone. host is what
// the steps call this host if they were made on another, else "". It changes nothing.
//
// Where a note says what the steps below are good for ("if 10.0.0.7 is behind bob"), the
// first such that can be done are; what is for another case, or another way to the same
// end, is left to the user. So are steps whose words in capitals only the user can know.
//
// Steps that follow one another are one group, such as a peer's AllowedIPs and the route to them: half of
// it would do harm. If one of a group can not be done here, none is; what is there already counts as done.
func Plan(ctx context.Context, steps fix.Steps, host string) []Planned {
	all := make([]Planned, len(steps))
	begun, other := false, false // whether a step of before is done, and these are for another case
	for i := 0; i < len(steps); i++ {
		s := steps[i]
		all[i].Step = s
		if s.Kind == fix.KindNote {
			if alternative(s.Note) {
				other = begun
			}
			continue
		}
		if !changes(s) {
			continue
		}
		end := i + 1
		for end < len(steps) && changes(steps[end]) && steps[end].Where.Host == s.Where.Host {
			end++
		}
		begun = planGroup(ctx, all[i:end], steps[i:end], host, other) || begun
		i = end - 1
	}
	return all
}

// planGroup plans steps of which all are done or none, and reports whether any is.
func planGroup(ctx context.Context, all []Planned, steps fix.Steps, host string, other bool) (done bool) {
	lacking := -1 // the step for which the others are not done
	for i, s := range steps {
		err := reason(ctx, s, host, other)
		all[i].Step = s
		switch {
		case err == nil:
			done = true
		case !errors.Is(err, errThere) && lacking < 0:
			lacking = i
		}
		if err != nil {
			all[i].Why = err.Error()
		}
	}
	if lacking < 0 || !done {
		return done
	}
	for i := range all {
		if all[i].Why == "" {
			all[i].Why = fmt.Sprintf("it is half of a fix without %q", steps[lacking].Line())
		}
	}
	return false
}

// errUnknown: a fix has another case, or another way.
var errUnknown = errors.New("whether it is wanted, only you know")

func reason(ctx context.Context, s fix.Step, host string, other bool) error {
	switch {
	case s.Where.Host != host:
		return errors.New("it is for " + orThis(s.Where.Host))
	case other:
		return errUnknown
	}
	_, err := prepare(ctx, s)
	return err
}

func orThis(host string) string {
	if host == "" {
		return "the host that asked"
	}
	return host
}

// alternative reports whether the steps below a note are for another case than those
// above it. What is to be done "at once" is the same thing.
func alternative(note string) bool {
	if strings.HasPrefix(note, "or at once") {
		return false
	}
	for _, word := range []string{"if", "or", "else", "once", "until"} {
		if rest, ok := strings.CutPrefix(note, word); ok && strings.IndexAny(rest+" ", " :,") == 0 {
			return true
		}
	}
	return false
}

// Doable are the steps of a plan that are to be done.
func Doable(plan []Planned) fix.Steps {
	var steps fix.Steps
	for i := range plan {
		if plan[i].Does() {
			steps = append(steps, plan[i].Step)
		}
	}
	return steps
}
