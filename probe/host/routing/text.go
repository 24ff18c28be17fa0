//go:build linux

package routing

import "strings"

// String returns the rule and what came of it, in ip(8)'s words.
func (t *Step) String() string {
	b := new(strings.Builder)
	b.WriteString(t.Rule.String())
	if t.Outcome == NotMatched {
		b.WriteString(": does not apply: " + t.Why)
		return b.String()
	}
	if t.Why != "" {
		b.WriteString(": applies: " + t.Why)
	}
	if t.Route != nil {
		b.WriteString(" -> " + t.Route.String())
	}
	switch t.Outcome {
	case NoRoute:
		b.WriteString(" -> no route")
	case Thrown:
		b.WriteString(": on to the next rule")
	case Suppressed:
		b.WriteString(": suppressed")
	}
	if t.Note != "" {
		b.WriteString(": " + t.Note)
	}
	return b.String()
}

// Evidence returns the rules that were tried and what came of each, the decision,
// and what stands against it.
func (w *Walk) Evidence() []string {
	var lines []string
	if w.Unexplained == "" {
		for i := range w.Steps {
			lines = append(lines, w.Steps[i].String())
		}
	}
	lines = append(lines, w.Flow.String()+": "+w.Decision.String())
	for _, s := range []string{w.Unexplained, w.Doubt, w.Refused} {
		if s != "" {
			lines = append(lines, s)
		}
	}
	return lines
}

// String returns what was decided and by what, such as "default via 192.0.2.1 dev
// eth0, by rule 32766: from all lookup main".
func (d *Decision) String() string {
	by := ""
	if d.Rule != nil {
		by = ", by rule " + d.Rule.String()
	}
	switch {
	case d.Route != nil:
		return d.Route.String() + by
	case d.Type.Rejects():
		return d.Type.String() + by
	}
	w := new(words)
	w.add(d.Type.String())
	for i := range d.Hops {
		d.Hops[i].way(w, true)
	}
	return w.String()
}

// Delete returns the command that would delete what decided, the route or else
// the rule; "" if nothing is known to have.
func (d *Decision) Delete() string {
	switch {
	case d.Route != nil:
		return d.Route.Delete()
	case d.Rule != nil:
		return d.Rule.Delete()
	}
	return ""
}
