//go:build linux

package repair

import (
	"context"
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
func Plan(ctx context.Context, steps fix.Steps, host string) []Planned {
	all := make([]Planned, len(steps))
	begun, other := false, false // whether a step of before is done, and these are for another case
	for i, s := range steps {
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
		all[i].Why = reason(ctx, s, host, other)
		begun = begun || all[i].Why == ""
	}
	return all
}

func reason(ctx context.Context, s fix.Step, host string, other bool) string {
	switch {
	case s.Where.Host != host:
		return "it is for " + orThis(s.Where.Host)
	case other:
		return "whether it is wanted, only you know"
	}
	if _, err := prepare(ctx, s); err != nil {
		return err.Error()
	}
	return ""
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
