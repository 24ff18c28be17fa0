//go:build linux

package routing

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Walk tries the rules for a packet. It asks nobody: see [Snapshot.Verify].
//
// IPv4 without Src: TCP and connected UDP sockets look up a second time once they
// have Decision.PrefSrc for a source. Rules that select by source apply to that
// second lookup alone.
func (s *Snapshot) Walk(f Flow) Walk {
	f = f.normal()
	w := Walk{Flow: f}
	if err := s.check(f); err != nil {
		w.Doubt = err.Error()
		return w
	}
	ipv6 := f.Dst.Is6()
	k := s.key(&w)
	if _, ok := slices.BinarySearchFunc(s.only, f.Dst, netip.Addr.Compare); s.only != nil && !ok {
		w.Doubt = "the snapshot was not taken for " + f.Dst.String()
	}
	if s.onLink(&w, k) {
		return w
	}
	w.rules(s, s.rules(ipv6), k)
	d := &w.Decision
	if d.Type.Rejects() && !ipv6 && k.oif != 0 && (k.l3mdev == 0 || f.Dst.IsMulticast()) {
		// "Apparently, routing tables are wrong. Assume, that the destination is on
		// link", says ip_route_output_key_hash_rcu.
		*d = Decision{}
		w.setWay(s, nil, []Hop{{Link: k.oif, Dev: f.OIF, Weight: 1}})
	}
	switch { // __mkroute_output in net/ipv4/route.c
	case ipv6 || d.Type.Rejects():
	case f.Dst == limitedBroadcast:
		d.Type = TypeBroadcast
	case f.Dst.IsMulticast():
		d.Type = TypeMulticast
	}
	if d.Table == Local && !ipv6 && s.stock4() {
		main := s.lookup(false, Main, k)
		if main.route != nil && main.route.Dst.Bits() > d.Route.Dst.Bits() {
			w.Doubt = "as long as no rule was ever added, the kernel may search the tables local and main as one"
		}
	}
	return w
}

// onLink decides what IPv4 does without a lookup.
func (s *Snapshot) onLink(w *Walk, k *key) bool {
	dst := w.Flow.Dst
	limited := dst == limitedBroadcast
	if dst.Is6() || !limited && !dst.IsMulticast() {
		return false
	}
	switch {
	case w.Flow.IIF != "":
		w.Decision.Type = TypeBroadcast
		if !limited {
			w.Decision.Type = TypeMulticast
			w.Doubt = "whether a multicast packet is taken in depends on its receivers"
		}
		return true
	case k.oif != 0 && (limited || dst.IsLinkLocalMulticast()):
		w.setWay(s, nil, []Hop{{Link: k.oif, Dev: w.Flow.OIF, Weight: 1}})
		w.Decision.Type = TypeMulticast
		if limited {
			w.Decision.Type = TypeBroadcast
		}
		return true
	}
	return false
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// rules is fib_rules_lookup in the kernel's net/core/fib_rules.c.
func (w *Walk) rules(s *Snapshot, rules []Rule, k *key) {
	w.Steps = make([]Step, 0, len(rules))
	for i := 0; i < len(rules); i++ {
		r := &rules[i]
		w.Steps = append(w.Steps, Step{Rule: r})
		step := &w.Steps[len(w.Steps)-1]
		step.Matched, step.Why = s.match(r, k)
		if !step.Matched {
			continue
		}
		switch r.Action {
		case actionTable:
			if s.inTable(w, step, k) {
				return
			}
		case actionGoto:
			step.Outcome = passed
			to := slices.IndexFunc(rules, func(o Rule) bool { return o.Priority == r.Goto })
			if to <= i { // a goto leads forward only
				step.Note = "no rule has that priority"
				continue
			}
			i = to - 1
		case actionNop:
			step.Outcome = passed
		default:
			step.Outcome = decided
			w.Decision = Decision{Type: r.rejects(), Rule: r}
			return
		}
	}
}

// inTable follows a rule into its table, and reports whether that decides:
// fib4_rule_action and fib4_rule_suppress in net/ipv4/fib_rules.c, and the same in
// net/ipv6/fib6_rules.c.
func (s *Snapshot) inTable(w *Walk, step *Step, k *key) bool {
	r := step.Rule
	id := r.Table
	if r.L3Mdev {
		id = s.links[k.l3mdev].vrf
	}
	f := s.lookup(r.IPv6, id, k)
	step.Route = f.route
	if f.sourced {
		w.Doubt = "table " + id.String() + " has routes for some sources only, among which the kernel's search depends on their history"
	}
	switch {
	case f.route == nil:
		step.Outcome = lacking
		if f.unusable != nil {
			step.Note = "not used: " + f.unusable.String()
		}
		return false
	case f.route.Type == TypeThrow:
		step.Outcome = thrown
		return false
	case f.route.Type.Rejects():
	case f.route.Dst.Bits() <= r.SuppressPrefix:
		step.Outcome, step.Note = suppressed, fmt.Sprintf("prefix length %d <= %d", f.route.Dst.Bits(), r.SuppressPrefix)
		return false
	case r.SuppressGroup >= 0:
		in, all := s.inGroup(&f, r)
		if in != "" && all {
			step.Outcome, step.Note = suppressed, fmt.Sprintf("%s is in group %d", in, r.SuppressGroup)
			return false
		}
		if in != "" {
			w.Doubt = fmt.Sprintf("rule %d suppresses the route if the kernel chooses the path by %s", r.Priority, in)
		}
	}
	step.Outcome = decided
	w.Decision.Rule = r
	if r.findSource && r.From.IsValid() && !k.hasSource {
		w.Doubt = "rule " + itoa(r.Priority) + " chooses a source address itself"
	}
	if f.route.untold() {
		w.Doubt = "the kernel does not show where next hop object " + itoa(f.route.NextHops) + " leads (net.ipv4.nexthop_compat_mode is 0)"
	}
	w.setWay(s, f.route, f.hops)
	return true
}

// inGroup returns a link that a route leads out of and that is in the group which
// the rule suppresses, "" if there is none, and whether all are. IPv4 looks at the
// first way of a route only, IPv6 at the one that it has chosen.
func (s *Snapshot) inGroup(f *found, r *Rule) (in string, all bool) {
	hops := f.hops
	if !r.IPv6 {
		hops = f.route.Hops[:min(1, len(f.route.Hops))]
	}
	all = true
	for _, h := range hops {
		if l := s.links[h.Link]; l != nil && int64(l.Group) == r.SuppressGroup {
			in = h.Dev
		} else {
			all = false
		}
	}
	return in, all
}

// setWay completes the decision for a route, nil for a destination that is taken
// to be on the link.
func (w *Walk) setWay(s *Snapshot, r *Route, hops []Hop) {
	d := &w.Decision
	d.Type, d.Hops, d.Route = TypeUnicast, hops, r
	if len(hops) > 0 {
		if l := s.links[hops[0].Link]; l != nil {
			d.MTU = l.MTU
		}
	}
	if r == nil {
		return
	}
	d.Type, d.Table = r.Type, r.Table
	if r.MTU != 0 {
		d.MTU = r.MTU
	}
	switch {
	case w.Flow.IIF != "" || r.Type.Rejects():
	case r.PrefSrc.IsValid():
		d.PrefSrc = r.PrefSrc
	case r.Type == TypeLocal:
		d.PrefSrc = w.Flow.Dst
	case !r.IPv6() && len(hops) == 1:
		d.PrefSrc = s.sourceFor(hops[0], r.scope)
	}
}

// sourceFor is inet_select_addr in the kernel's net/ipv4/devinet.c, on the link
// itself; invalid if that has no address which does.
func (s *Snapshot) sourceFor(h Hop, scope uint8) netip.Addr {
	l := s.links[h.Link]
	if l == nil {
		return netip.Addr{}
	}
	var first netip.Addr
	for _, a := range l.Addrs {
		if a.Secondary || !a.Prefix.Addr().Is4() || min(a.scope, unix.RT_SCOPE_HOST) > scope {
			continue
		}
		if !h.Gateway.Is4() || a.Peer.Masked().Contains(h.Gateway) {
			return a.Prefix.Addr()
		}
		if !first.IsValid() {
			first = a.Prefix.Addr()
		}
	}
	return first
}

// stock4 reports whether IPv4 has no rules but those of every host.
func (s *Snapshot) stock4() bool {
	if len(s.Rules4) != 3 {
		return false
	}
	for i, t := range []Table{Local, Main, Default} {
		if r := &s.Rules4[i]; r.spec() != "from all lookup "+t.String() {
			return false
		}
	}
	return true
}

// match reports whether a rule applies to a packet, and why, as fib_rule_match in
// the kernel's net/core/fib_rules.c.
func (s *Snapshot) match(r *Rule, k *key) (bool, string) {
	differs := s.differs(r, k)
	switch {
	case !r.Not && differs == "":
		return true, ""
	case !r.Not:
		return false, differs
	case differs != "":
		return true, differs
	}
	what := r.selectors()
	if r.From.IsValid() {
		what = append([]string{"from " + prefixText(r.From)}, what...)
	}
	if len(what) == 0 {
		what = []string{"from all"}
	}
	return false, "the rule excepts " + strings.Join(what, " ")
}

// differs returns in what the packet is not what a rule selects, "" if it is.
func (s *Snapshot) differs(r *Rule, k *key) string {
	switch {
	case r.iif != 0 && !s.sameLink(r.iif, k.iif, k.l3mdev):
		if s.links[k.iif] != nil && s.links[k.iif].loopback {
			return "a packet of this host's own does not come in on " + r.IIF
		}
		return fmt.Sprintf("comes in on %s, not %s", s.name(k.iif), r.IIF)
	case r.oif != 0 && !s.sameLink(r.oif, k.oif, k.l3mdev):
		if k.oif == 0 {
			return "not bound to " + r.OIF
		}
		return fmt.Sprintf("bound to %s, not %s", s.name(k.oif), r.OIF)
	case (r.Mark^k.mark)&r.MarkMask != 0:
		if r.MarkMask != ^uint32(0) {
			return fmt.Sprintf("mark 0x%x & 0x%x is 0x%x, not 0x%x", k.mark, r.MarkMask, k.mark&r.MarkMask, r.Mark&r.MarkMask)
		}
		return fmt.Sprintf("mark 0x%x is not 0x%x", k.mark, r.Mark)
	case r.tunnelID != 0:
		return "not out of a tunnel with id " + itoa(r.tunnelID)
	case r.L3Mdev && k.l3mdev == 0:
		return "belongs to no VRF"
	case !r.UIDs.Has(k.uid):
		return fmt.Sprintf("user %d is not in %s", k.uid, r.UIDs)
	}
	return s.differsInHeader(r, k)
}

// sameLink compares a rule's link with a packet's. A VRF stands for all links
// that belong to it.
func (s *Snapshot) sameLink(rule, link, l3mdev int) bool {
	if l := s.links[rule]; l != nil && l.vrf != 0 {
		return l3mdev == rule
	}
	return rule == link
}

// differsInHeader is fib4_rule_match in net/ipv4/fib_rules.c and fib6_rule_match
// in net/ipv6/fib6_rules.c.
func (s *Snapshot) differsInHeader(r *Rule, k *key) string {
	switch {
	case r.To.IsValid() && !r.To.Contains(k.dst):
		return fmt.Sprintf("destination %s is not in %s", k.dst, r.To)
	case r.From.IsValid() && !k.hasSource && (r.IPv6 || !r.From.Contains(k.src)):
		// A rule that may find a source itself defers the question.
		if !r.IPv6 || !r.findSource {
			return fmt.Sprintf("the packet has no source yet, so none in %s", r.From)
		}
	case r.From.IsValid() && !r.From.Contains(k.src):
		return fmt.Sprintf("source %s is not in %s", k.src, r.From)
	}
	switch {
	// The bits of precedence do not count in IPv4's old kind of rule.
	case r.TOS != 0 && !r.IPv6 && r.TOS != k.tos&tosMask, r.TOS != 0 && r.IPv6 && r.TOS != k.tos&dscpBits:
		return fmt.Sprintf("tos 0x%x is not 0x%x", k.tos, r.TOS)
	case r.hasDSCP && (k.tos>>2^r.dscp)&r.dscpMask != 0:
		return fmt.Sprintf("dscp %d is not %d", k.tos>>2, r.dscp)
	case r.flowMask != 0 && r.flowLabel&r.flowMask != 0:
		return fmt.Sprintf("flow label 0x0 is not 0x%x", r.flowLabel)
	case r.IPProto != 0 && r.IPProto != k.proto:
		return fmt.Sprintf("protocol %s is not %s", protoText(k.proto), protoText(r.IPProto))
	case !portMatches(r.SPort, r.sportMask, k.sport):
		return fmt.Sprintf("source port %d is not %s", k.sport, r.SPort)
	case !portMatches(r.DPort, r.dportMask, k.dport):
		return fmt.Sprintf("destination port %d is not %s", k.dport, r.DPort)
	}
	return ""
}

const (
	dscpBits = 0xfc        // INET_DSCP_MASK in the kernel's include/net/inet_dscp.h
	tosMask  = 0x1e & 0xfc // and IPTOS_TOS_MASK within it
)

func portMatches(r Range[uint16], mask, port uint16) bool {
	switch {
	case r == Range[uint16]{}:
		return true
	case mask != 0xffff:
		return (port^r.First)&mask == 0
	}
	return r.Has(port)
}
