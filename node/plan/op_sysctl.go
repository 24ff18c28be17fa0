package plan

import (
	"context"
	"fmt"
	"slices"

	"github.com/wgnode/wgnode/node/link"
)

// Kernel parameters belong to all of the host, so several nodes may need the
// same one. They are counted: see [parameters].

// srcValidMark makes the check of source addresses heed a packet's mark.
const srcValidMark = "net.ipv4.conf.all.src_valid_mark"

var sysctlOperation = operation{
	command: func(s Step) string { return setCommand(s.parameter()) },
	undoCommand: func(s Step) string {
		if s.Before == s.Value {
			return ""
		}
		return setCommand(s.Sysctl, s.Before)
	},
	do: func(_ context.Context, r *Runner, s Step, _ *link.Link) error {
		return r.counted.take(s)
	},
	undo: func(r *Runner, s Step, _ link.Link) error { return r.counted.release(s) },
	differs: func(_ context.Context, p Present, s Step, _ link.Link) ([]string, error) {
		if s.keeps() {
			return nil, nil // what others make of it is theirs
		}
		name, want := s.parameter()
		value, err := p.Sysctl(name)
		if err != nil || value == want {
			return nil, err
		}
		return []string{fmt.Sprintf("sysctl %s is %s instead of %s", name, value, want)}, nil
	},
	stays:  always,
	left:   leftParameters,
	shared: true,
}

var validMarkOperation = operation{
	command:     sysctlOperation.command,
	undoCommand: func(Step) string { return setCommand(srcValidMark, "0") },
	do:          sysctlOperation.do,
	undo:        sysctlOperation.undo,
	differs:     sysctlOperation.differs,
	stays:       always,
	left:        leftParameters,
	shared:      true,
}

func setCommand(name, value string) string { return fmt.Sprintf("sysctl -q %s=%s", name, value) }

// parameter is what a shared step sets, and to what.
func (s Step) parameter() (name, value string) {
	if s.Op == OpValidMark {
		return srcValidMark, "1"
	}
	return s.Sysctl, s.Value
}

// keeps reports whether a step sets nothing, but remembers what another
// parameter's end would change.
func (s Step) keeps() bool { return s.For != "" && s.Before == s.Value }

// Undone returns the command that would do what undoing the step has done, as
// far as it shows in the kernel: a parameter that others need stays. It is "" if
// there is nothing to say.
func (s Step) Undone(k Kernel) string {
	if !operations[s.Op].shared {
		return s.UndoString()
	}
	name, value := s.parameter()
	now, err := k.Sysctl(name)
	if err != nil || now == value {
		return ""
	}
	return setCommand(name, now)
}

// UndoneLine is the line, as a [Runner] prints it, for a step that another process
// has undone, as far as that shows in the kernel; "" if there is nothing to say.
func (s Step) UndoneLine(k Kernel) string {
	line := s.Undone(k)
	if line == "" {
		return ""
	}
	if operations[s.Op].shared && line != s.UndoString() {
		name, value := s.parameter()
		return fmt.Sprintf("[!] left as it is: %s=%s was set here, and another program has changed it since", name, value)
	}
	return "[#] " + line
}

// inherit returns steps that are about to be done, together with what belongs to
// them on a host where another node has done the same first: it found what the
// parameter was, and which others change with it. Those must be put right by
// the node that ends last, whichever it is.
func (j *Journal) inherit(steps []Step) ([]Step, error) {
	if !slices.ContainsFunc(steps, func(s Step) bool { return s.Op == OpSysctl && s.For == "" }) {
		return steps, nil
	}
	var others []Step
	if err := j.eachOther(func(other *Journal) error {
		others = append(others, other.Steps...)
		return nil
	}); err != nil {
		return nil, err
	}
	sets := func(list []Step, s Step) int {
		return slices.IndexFunc(list, func(t Step) bool { return t.Op == OpSysctl && t.Sysctl == s.Sysctl && t.Value == s.Value })
	}
	var all []Step
	for _, s := range steps {
		if i := sets(others, s); s.Op == OpSysctl && i >= 0 && sets(j.Steps, s) < 0 {
			s.Before = others[i].Before
			for _, o := range others {
				if o.Op == OpSysctl && o.For == s.Sysctl && sets(steps, o) < 0 && sets(all, o) < 0 {
					o.Link = j.Link
					all = append(all, o)
				}
			}
		}
		all = append(all, s)
	}
	return all, nil
}
