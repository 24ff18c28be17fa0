//go:build linux

package routing

import (
	"math"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// Action is what a rule does with a packet that it applies to, as in
// linux/fib_rules.h.
type Action uint8

const (
	actionTable       Action = unix.FR_ACT_TO_TBL
	actionGoto        Action = unix.FR_ACT_GOTO // goes on at the rule of another priority
	actionNop         Action = unix.FR_ACT_NOP
	actionBlackhole   Action = unix.FR_ACT_BLACKHOLE
	actionUnreachable Action = unix.FR_ACT_UNREACHABLE
	actionProhibit    Action = unix.FR_ACT_PROHIBIT
)

// Rule is one routing rule. A selector's zero value selects all packets, except
// where said otherwise.
type Rule struct {
	IPv6     bool
	Priority uint32
	Not      bool // applies to the packets that the selectors do not select

	From, To netip.Prefix
	Mark     uint32 // selects packets with mark & MarkMask == Mark & MarkMask
	MarkMask uint32
	IIF      string // "lo" selects this host's own packets
	OIF      string // of packets that are bound to an interface
	TOS      uint8
	UIDs     Range[uint32] // always valid
	IPProto  uint8
	SPort    Range[uint16]
	DPort    Range[uint16]
	L3Mdev   bool // selects packets of a VRF, and leads into its table

	Action Action
	Table  Table  // for ActionTable
	Goto   uint32 // for ActionGoto
	// SuppressPrefix: routes with a prefix of that length or less are not taken;
	// -1 if all are.
	SuppressPrefix int
	// SuppressGroup: nor are routes out of a link of that group; -1 if all are.
	SuppressGroup int64

	iif, oif             int // indices; -1 where there is no link of the name
	dscp, dscpMask       uint8
	hasDSCP              bool
	sportMask, dportMask uint16
	flowLabel, flowMask  uint32
	tunnelID             uint64
	findSource           bool // FIB_RULE_FIND_SADDR
}

// Range is an inclusive range of ports or user ids.
type Range[N uint16 | uint32] struct{ First, Last N }

// Has reports whether n is in the range.
func (r Range[N]) Has(n N) bool { return r.First <= n && n <= r.Last }

// String returns "first-last", or the number if there is only one.
func (r Range[N]) String() string {
	if r.First == r.Last {
		return itoa(uint64(r.First))
	}
	return itoa(uint64(r.First)) + "-" + itoa(uint64(r.Last))
}

// everyUID is what a rule without uidrange selects.
var everyUID = Range[uint32]{0, math.MaxUint32}

// Flags of rules and attributes that x/sys/unix does not have, from
// linux/fib_rules.h.
const (
	fibRuleFindSource  = 0x00010000 // FIB_RULE_FIND_SADDR
	fibRuleIIFDetached = 8
	fibRuleOIFDetached = 16
	fraDSCP            = 25
	fraFlowLabel       = 26
	fraFlowLabelMask   = 27
	fraSPortMask       = 28
	fraDPortMask       = 29
	fraDSCPMask        = 30
)

func (s *Snapshot) readRules(sock *socket, family uint8) error {
	var rules []Rule
	body := make(message, unix.SizeofRtMsg) // struct fib_rule_hdr has its shape
	body[0] = family
	err := sock.dump(unix.RTM_GETRULE, body, unix.RTM_NEWRULE, func() { rules = rules[:0] }, func(msg []byte) {
		if len(msg) >= unix.SizeofRtMsg && msg[0] == family {
			rules = append(rules, s.parseRule(msg))
		}
	})
	if family == unix.AF_INET6 {
		s.Rules6 = rules
	} else {
		s.Rules4 = rules
	}
	return err
}

func (s *Snapshot) parseRule(msg []byte) Rule {
	flags := u32(msg[8:])
	r := Rule{
		IPv6: msg[0] == unix.AF_INET6, Not: flags&unix.FIB_RULE_INVERT != 0, TOS: msg[3], Table: Table(msg[4]),
		Action: Action(msg[7]), UIDs: everyUID, SuppressPrefix: -1, SuppressGroup: -1,
		findSource: flags&fibRuleFindSource != 0, sportMask: 0xffff, dportMask: 0xffff, dscpMask: 0x3f,
	}
	for kind, v := range attributes(msg[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.FRA_PRIORITY:
			r.Priority = u32(v)
		case unix.FRA_SRC:
			r.From = netip.PrefixFrom(ipAddr(v), int(msg[2]))
		case unix.FRA_DST:
			r.To = netip.PrefixFrom(ipAddr(v), int(msg[1]))
		case unix.FRA_FWMARK:
			r.Mark = u32(v)
		case unix.FRA_FWMASK:
			r.MarkMask = u32(v)
		case unix.FRA_IIFNAME:
			r.IIF, r.iif = s.ruleLink(v, flags&fibRuleIIFDetached != 0)
		case unix.FRA_OIFNAME:
			r.OIF, r.oif = s.ruleLink(v, flags&fibRuleOIFDetached != 0)
		case unix.FRA_UID_RANGE:
			if len(v) >= 8 {
				r.UIDs = Range[uint32]{u32(v), u32(v[4:])}
			}
		case unix.FRA_IP_PROTO:
			r.IPProto = u8(v)
		case unix.FRA_SPORT_RANGE:
			r.SPort = portRange(v)
		case unix.FRA_DPORT_RANGE:
			r.DPort = portRange(v)
		case fraSPortMask:
			r.sportMask = u16(v)
		case fraDPortMask:
			r.dportMask = u16(v)
		case fraDSCP:
			r.dscp, r.hasDSCP = u8(v), true
		case fraDSCPMask:
			r.dscpMask = u8(v)
		case fraFlowLabel:
			r.flowLabel = uint32(bigEndian(v))
		case fraFlowLabelMask:
			r.flowMask = uint32(bigEndian(v))
		case unix.FRA_TUN_ID:
			r.tunnelID = bigEndian(v)
		case unix.FRA_L3MDEV:
			r.L3Mdev = u8(v) != 0
		case unix.FRA_TABLE:
			r.Table = Table(u32(v))
		case unix.FRA_GOTO:
			r.Goto = u32(v)
		case unix.FRA_SUPPRESS_PREFIXLEN:
			r.SuppressPrefix = int(int32(u32(v)))
		case unix.FRA_SUPPRESS_IFGROUP:
			if n := int32(u32(v)); n != -1 {
				r.SuppressGroup = int64(uint32(n))
			}
		}
	}
	return r
}

func (s *Snapshot) ruleLink(name []byte, detached bool) (string, int) {
	n := text(name)
	if l := s.Link(n); l != nil && !detached {
		return n, l.Index
	}
	return n, -1
}

func portRange(v []byte) Range[uint16] {
	if len(v) < 4 {
		return Range[uint16]{}
	}
	return Range[uint16]{u16(v), u16(v[2:])}
}

// String returns the rule as `ip rule` does.
func (r *Rule) String() string { return itoa(r.Priority) + ": " + r.spec() }

func (r *Rule) spec() string {
	w := new(words)
	if r.Not {
		w.add("not")
	}
	from := "all"
	if r.From.IsValid() {
		from = prefixText(r.From)
	}
	w.add("from", from)
	for _, selector := range r.selectors() {
		w.add(selector)
	}
	switch r.Action {
	case actionTable:
		if r.L3Mdev {
			w.add("lookup [l3mdev-table]")
		} else {
			w.add("lookup", r.Table.String())
		}
		if r.SuppressPrefix >= 0 {
			w.add("suppress_prefixlength", itoa(r.SuppressPrefix))
		}
		if r.SuppressGroup >= 0 {
			w.add("suppress_ifgroup", itoa(uint32(r.SuppressGroup)))
		}
	case actionGoto:
		w.add("goto", itoa(r.Goto))
	case actionNop:
		w.add("nop")
	default:
		w.add(r.rejects().String())
	}
	return w.String()
}

// selectors returns what the rule selects by, but for the source.
func (r *Rule) selectors() []string {
	var all []string
	add := func(name, value string) { all = append(all, name+" "+value) }
	if r.To.IsValid() {
		add("to", prefixText(r.To))
	}
	if r.TOS != 0 {
		add("tos", hex(uint32(r.TOS)))
	}
	if r.hasDSCP {
		add("dscp", masked(itoa(r.dscp), uint32(r.dscpMask), 0x3f))
	}
	if r.Mark != 0 || r.MarkMask != 0 {
		add("fwmark", masked(hex(r.Mark), r.MarkMask, math.MaxUint32))
	}
	if r.IIF != "" {
		add("iif", r.IIF+detached(r.iif))
	}
	if r.OIF != "" {
		add("oif", r.OIF+detached(r.oif))
	}
	if r.UIDs != everyUID {
		add("uidrange", itoa(r.UIDs.First)+"-"+itoa(r.UIDs.Last))
	}
	if r.IPProto != 0 {
		add("ipproto", protoText(r.IPProto))
	}
	if r.SPort != (Range[uint16]{}) {
		add("sport", masked(r.SPort.String(), uint32(r.sportMask), 0xffff))
	}
	if r.DPort != (Range[uint16]{}) {
		add("dport", masked(r.DPort.String(), uint32(r.dportMask), 0xffff))
	}
	if r.tunnelID != 0 {
		add("tun_id", itoa(r.tunnelID))
	}
	if r.flowMask != 0 {
		add("flowlabel", masked(hex(r.flowLabel), r.flowMask, 0xfffff))
	}
	return all
}

// Delete returns the command that would delete the rule. It says more than the
// priority, which several rules may have.
func (r *Rule) Delete() string {
	command := ipCommand(r.IPv6) + " rule del pref " + itoa(r.Priority)
	if r.L3Mdev || strings.Contains(r.spec(), "[detached]") {
		return command // what ip(8) prints here it does not read
	}
	return command + " " + r.spec()
}

// rejects returns the type of route that a rule which leads nowhere is like,
// TypeNone for one that leads into a table.
func (r *Rule) rejects() Type {
	switch r.Action {
	case actionTable, actionGoto, actionNop:
		return TypeNone
	case actionUnreachable:
		return TypeUnreachable
	case actionProhibit:
		return TypeProhibit
	}
	return TypeBlackhole
}

func masked(value string, mask, full uint32) string {
	if mask == full {
		return value
	}
	return value + "/" + hex(mask)
}

func detached(index int) string {
	if index < 0 {
		return " [detached]"
	}
	return ""
}

func protoText(p uint8) string {
	switch p {
	case unix.IPPROTO_ICMP:
		return "icmp"
	case unix.IPPROTO_TCP:
		return "tcp"
	case unix.IPPROTO_UDP:
		return "udp"
	case unix.IPPROTO_ICMPV6:
		return "ipv6-icmp"
	case unix.IPPROTO_SCTP:
		return "sctp"
	}
	return itoa(p)
}
