package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// rule looks for one cause. What its codes mean is declared in package diagnose.
type rule struct {
	// name says what is looked for, in a few words. after has it.
	name string
	// views are the facts that it can be asked about; none, if another package finds
	// what it declares.
	views view
	// after are the rules that are asked before it, because what they find is worth
	// more. Those that are not asked about the same kind of facts do not matter.
	after []string
	// find returns nil where it does not find the cause; what it returns is one of finds.
	find  func(f facts, now time.Time) *ruling
	finds finds
}

// finds are verdicts, with the checkpoints that each may be about:
// [probe.CheckpointNone] where all have happened.
type finds map[diagnose.Code][]probe.Checkpoint

// view is a set of kinds of facts.
type view uint8

// The kinds.
const (
	asA   view = 1 << iota // of a flow, by the side that asks
	asB                    // of a flow, by the side that is asked
	peers                  // of a peer, without a flow
)

// viewOf is the kind of the facts.
func viewOf(f facts) view {
	switch {
	case f.Flow == nil:
		return peers
	case f.Side == probe.SideB:
		return asB
	}
	return asA
}

// ruling is what a rule finds: a verdict, and whether it stands.
type ruling struct {
	diagnose.Verdict
	// settled: more of the same would not change the verdict. Otherwise it is what can
	// be said so far, and is the verdict if there is no more time.
	settled bool
}

// final is a ruling that stands.
func final(v diagnose.Verdict) *ruling { return &ruling{v, true} }

// ordered are the rules of each view, in the order in which they are asked.
var ordered = map[view][]rule{asA: mustOrder(table, asA), asB: mustOrder(table, asB), peers: mustOrder(table, peers)}

func mustOrder(rules []rule, v view) []rule {
	in, err := order(rules, v)
	if err != nil {
		panic(err) // a mistake in the table, which every test sees
	}
	return in
}

// order returns the rules for a view so that each comes behind those that it is after;
// of several that could be next, it takes the first of the table.
func order(rules []rule, v view) ([]rule, error) {
	known := make(map[string]bool)
	for _, r := range rules {
		if known[r.name] {
			return nil, fmt.Errorf("order rules: two are called %q", r.name)
		}
		known[r.name] = true
	}
	var left []rule
	waits := make(map[string]bool) // the names in left
	for _, r := range rules {
		for _, name := range r.after {
			if !known[name] {
				return nil, fmt.Errorf("order rules: %q is after %q, which is not a rule", r.name, name)
			}
		}
		if r.views&v != 0 {
			left, waits[r.name] = append(left, r), true
		}
	}
	var in []rule
	for len(left) > 0 {
		next := slices.IndexFunc(left, func(r rule) bool {
			return !slices.ContainsFunc(r.after, func(name string) bool { return waits[name] })
		})
		if next < 0 {
			return nil, fmt.Errorf("order rules: %q is after itself, by way of others", left[0].name)
		}
		in = append(in, left[next])
		delete(waits, left[next].name)
		left = slices.Delete(left, next, next+1)
	}
	return in, nil
}

// Checkpoints returns those that a verdict of this code may name as the first that did not
// happen, in the order in which a packet passes them. There are none where all happened, and
// for what is found without packets.
func Checkpoints(c diagnose.Code) []probe.Checkpoint {
	var all []probe.Checkpoint
	for _, r := range table {
		all = append(all, r.finds[c]...)
	}
	slices.SortFunc(all, func(a, b probe.Checkpoint) int { return a.Order() - b.Order() })
	return slices.DeleteFunc(slices.Compact(all), func(cp probe.Checkpoint) bool { return cp == probe.CheckpointNone })
}
