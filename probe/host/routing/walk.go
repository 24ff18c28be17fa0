//go:build linux

package routing

import (
	"net/netip"
	"strings"
)

// Walk is how a way was chosen.
type Walk struct {
	Flow     Flow
	Steps    []Step // the rules that were tried, in their order
	Decision Decision
	// Doubt says in which respect the walk may be wrong, "" if in none, or if the
	// kernel agreed.
	Doubt string

	// Verified: the kernel was asked, and said the same.
	Verified bool
	// Unexplained is set if the kernel decides otherwise than the rules and tables
	// let expect. Then Decision is the kernel's, and names no rule.
	Unexplained string
	// Refused says why the kernel does not answer though there is a way, such as
	// that it does not forward; then nothing is verified.
	Refused string
}

// Step is one rule tried.
type Step struct {
	Rule    *Rule
	Matched bool
	// Why is the reason for that, "" if the rule applies to every packet or by all
	// that it selects.
	Why string
	// Route is what the rule's table has for the packet, nil if nothing. It was
	// taken if Outcome is Decided.
	Route   *Route
	Outcome Outcome
	// Note explains the outcome, such as "prefix length 0 <= 0".
	Note string
}

// Outcome is what came of a rule.
type Outcome uint8

const (
	notMatched Outcome = iota
	passed             // goto, nop
	lacking            // its table has none
	thrown             // its table has a route of type throw
	suppressed         // its table has one that the rule does not accept
	decided
)

// Decision is the end of a walk.
type Decision struct {
	Type  Type
	Rule  *Rule  // that led there; nil if no rule did
	Route *Route // nil if a rule rejects the packet, or there is no route
	Table Table  // of the route, 0 without
	// Hops are the ways out that the packet may take. If there are several the
	// kernel spreads packets over them.
	Hops []Hop
	// PrefSrc is the source address that the kernel gives a packet without one,
	// invalid where that is not known: for IPv6, until the walk is verified.
	PrefSrc netip.Addr
	MTU     int // bytes: the route's, or the link's; 0 if not known
}

// OutLink returns the name of the link that the packet leaves by; "" if it stays,
// goes nowhere, or may take several.
func (d *Decision) OutLink() string {
	if d.Type == TypeLocal || len(d.Hops) == 0 {
		return ""
	}
	for _, h := range d.Hops[1:] {
		if h.Link != d.Hops[0].Link {
			return ""
		}
	}
	return d.Hops[0].Dev
}

// gateway returns the next router; invalid if there is none, or several.
func (d *Decision) gateway() netip.Addr {
	if len(d.Hops) != 1 {
		return netip.Addr{}
	}
	return d.Hops[0].Gateway
}

// String returns the rule and what came of it, in ip(8)'s words.
func (t *Step) String() string {
	b := new(strings.Builder)
	b.WriteString(t.Rule.String())
	if t.Outcome == notMatched {
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
	case lacking:
		b.WriteString(" -> no route")
	case thrown:
		b.WriteString(": on to the next rule")
	case suppressed:
		b.WriteString(": suppressed")
	}
	if t.Note != "" {
		b.WriteString(": " + t.Note)
	}
	return b.String()
}

// String returns what was decided and by what, such as "default via 192.0.2.1 dev
// eth0, by rule 32766: from all lookup main".
func (d *Decision) String() string {
	if d.Rule == nil {
		return d.what()
	}
	return d.what() + ", by rule " + d.Rule.String()
}

// what is String without the rule.
func (d *Decision) what() string {
	switch {
	case d.Route != nil:
		return d.Route.String()
	case d.Type.Rejects():
		return d.Type.String()
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
