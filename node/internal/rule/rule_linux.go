package rule

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Add adds a rule. The error wraps EEXIST if there is an equal one of the same
// priority.
func Add(r Rule) error {
	if err := netlink.RuleAdd(r.message()); err != nil {
		return fmt.Errorf("add rule %s: %w", r, err)
	}
	return nil
}

// Delete deletes what Add added, and no equal rule of another priority. The
// error wraps ENOENT if it is not there.
func Delete(r Rule) error {
	if err := netlink.RuleDel(r.message()); err != nil {
		return fmt.Errorf("delete rule %s: %w", r, err)
	}
	return nil
}

func (r Rule) message() *netlink.Rule {
	m := netlink.NewRule()
	m.Family = family(r.IPv6)
	m.Priority = r.Priority
	if r.Table == 0 {
		m.Table, m.SuppressPrefixlen = unix.RT_TABLE_MAIN, 0
	} else {
		m.Table, m.Mark, m.Invert = r.Table, r.Mark, true
	}
	return m
}

// ListMarked returns the rules of a family that [Marked] describes, whoever
// added them.
func ListMarked(ipv6 bool) ([]Rule, error) {
	all, err := list(ipv6)
	if err != nil {
		return nil, err
	}
	var marked []Rule
	for _, r := range all {
		if r.Invert && r.Mark != 0 {
			marked = append(marked, Marked(ipv6, r.Priority, r.Mark, r.Table))
		}
	}
	return marked, nil
}

// Has reports whether a rule is there.
func Has(r Rule) (bool, error) {
	all, err := list(r.IPv6)
	if err != nil {
		return false, err
	}
	for _, have := range all {
		want := r.message()
		if have.Priority == want.Priority && have.Table == want.Table && have.Mark == want.Mark && have.Invert == want.Invert &&
			have.SuppressPrefixlen == want.SuppressPrefixlen {
			return true, nil
		}
	}
	return false, nil
}

// Next returns the priority that the kernel gives to a rule that comes without
// one: the one before that of the second rule of all (fib_default_rule_pref in
// the kernel's net/core/fib_rules.c). The first one is that of the local table.
// It is 0 if there is no room there.
func Next(ipv6 bool) (int, error) {
	all, err := list(ipv6)
	if err != nil {
		return 0, err
	}
	if len(all) < 2 || all[1].Priority == 0 {
		return 0, nil
	}
	return all[1].Priority - 1, nil
}

// list returns all the rules of a family in their order.
func list(ipv6 bool) ([]netlink.Rule, error) {
	const attempts = 5
	var rules []netlink.Rule
	var err error
	for range attempts { // a dump is interrupted if rules change meanwhile
		rules, err = netlink.RuleList(family(ipv6))
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	return rules, nil
}

func family(ipv6 bool) int {
	if ipv6 {
		return netlink.FAMILY_V6
	}
	return netlink.FAMILY_V4
}
