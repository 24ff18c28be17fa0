//go:build linux

package routing

import (
	"fmt"
	"net/netip"
	"strings"
)

// key is a flow as a lookup sees it: struct flowi in the kernel's
// include/net/flow.h.
type key struct {
	src, dst     netip.Addr
	iif, oif     int // indices; this host's own packets come in on the loopback
	l3mdev       int // the VRF that the packet belongs to, 0 if none
	mark, uid    uint32
	tos, proto   uint8
	sport, dport uint16
	hasSource    bool

	// strict: IPv6 routes out of another link than oif are not taken at all, else
	// the others are preferred (RT6_LOOKUP_F_IFACE).
	strict bool
	// routeLink is the link that IPv6 prefers routes by: oif, or for forwarded
	// packets, oddly, iif. See ip6_pol_route_input in net/ipv6/route.c.
	routeLink int
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
