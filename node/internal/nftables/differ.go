//go:build linux

package nftables

import (
	"fmt"
	"maps"
	"slices"
)

// differ says in words how a table is not what it was; nothing if it is. Either
// may be nil, for no table.
func differ(want, have *contents) (what []string) {
	say := func(format string, args ...any) { what = append(what, fmt.Sprintf(format, args...)) }
	switch {
	case have == nil:
		return []string{"it is missing"}
	case want == nil: // what it was is not known
		return nil
	}
	if have.dormant && !want.dormant {
		say("it is dormant, which switches it off")
	}
	for _, name := range slices.Sorted(maps.Keys(want.chains)) {
		is, ok := have.chains[name]
		if !ok {
			say("chain %s is missing", name)
			continue
		}
		was := want.chains[name]
		if is.kind != was.kind || is.hook != was.hook {
			say("chain %s is at another hook or priority", name)
		}
		if is.policy != was.policy {
			say("chain %s has the policy %s", name, policyName(is.policy))
		}
		for _, d := range differRules(was.rules, is.rules) {
			say("chain %s: %s", name, d)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have.chains)) {
		if _, ok := want.chains[name]; !ok {
			say("chain %s was added", name)
		}
	}
	for _, name := range have.sets {
		if !slices.Contains(want.sets, name) {
			say("set %s was added", name)
		}
	}
	return what
}

func policyName(policy uint32) string {
	if policy == 0 { // NF_DROP
		return "drop"
	}
	return "accept"
}

func differRules(was, is []ruleContents) []string {
	missing, added := without(was, is), without(is, was)
	switch {
	case len(is) == 0 && len(was) > 0:
		return []string{"all of its rules are gone"}
	case len(missing)+len(added) == 0 && !slices.Equal(was, is):
		return []string{"its rules are in another order"}
	}
	var what []string
	if len(missing) > 0 {
		what = append(what, fmt.Sprintf("%s missing: %s", counted(len(missing), "rule is", "rules are"), missing[0]))
	}
	if len(added) > 0 {
		what = append(what, fmt.Sprintf("%s added: %s", counted(len(added), "rule was", "rules were"), added[0]))
	}
	return what
}

// without returns those of a that b lacks, each as often as it does.
func without(a, b []ruleContents) []ruleContents {
	have := make(map[ruleContents]int)
	for _, r := range b {
		have[r]++
	}
	var lacks []ruleContents
	for _, r := range a {
		if have[r]--; have[r] < 0 {
			lacks = append(lacks, r)
		}
	}
	return lacks
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
