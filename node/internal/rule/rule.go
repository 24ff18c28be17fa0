// Package rule adds, deletes and lists the two kinds of routing rules that a
// tunnel with a default route needs, as `ip rule` does, over rtnetlink(7).
//
// The kernel asks the rules in the order of their priorities, the least first,
// each for a table to look a destination up in, until one has a route. A
// [Marked] rule leads all packets into a table except those with a certain mark:
// the tunnel's own encrypted packets, which else would be led into the tunnel
// again. A [Suppress] rule, asked before it, leads into the main table but takes
// no default route from there, so that what the host knows in particular, its
// own networks above all, keeps its way.
//
// Any number of equal rules may exist, somebody else's among them. A rule of
// one's own is known by its priority, and [Delete] deletes no other.
//
// All functions work in the network namespace of the calling thread and may be
// called from many goroutines.
package rule

import "fmt"

// Rule is one rule. It is of one of two kinds: see [Marked] and [Suppress].
type Rule struct {
	IPv6     bool
	Priority int
	// Table is where the rule leads, 0 for a Suppress rule.
	Table int
	// Mark is what the rule's packets do not carry, 0 for a Suppress rule.
	Mark uint32
}

// Marked returns the rule `not fwmark MARK table TABLE`.
func Marked(ipv6 bool, priority int, mark uint32, table int) Rule {
	return Rule{IPv6: ipv6, Priority: priority, Mark: mark, Table: table}
}

// Suppress returns the rule `table main suppress_prefixlength 0`.
func Suppress(ipv6 bool, priority int) Rule { return Rule{IPv6: ipv6, Priority: priority} }

// String returns the arguments of ip(8) that follow `ip rule add` or `delete`.
func (r Rule) String() string {
	if r.Table == 0 {
		return fmt.Sprintf("pref %d table main suppress_prefixlength 0", r.Priority)
	}
	return fmt.Sprintf("pref %d not fwmark %d table %d", r.Priority, r.Mark, r.Table)
}
