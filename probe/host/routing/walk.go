//go:build linux

package routing

import (
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Flow is the packet whose way is asked for.
type Flow struct {
	Src   netip.Addr // the zero Addr: none chosen yet
	Dst   netip.Addr
	Proto uint8 // IP protocol number, such as 17 for UDP; 0 if it does not matter
	SPort uint16
	DPort uint16
	Mark  uint32
	IIF   string // the link that it came in by; "": made by this host
	OIF   string // the link that its socket is bound to, "" if to none
	UID   uint32 // of its sender; forwarded packets have 0, whatever is given here
	TOS   uint8  // the whole byte of the header
}

// Reply returns the packet that answers, as it would be sent: source and
// destination exchanged, without links and mark.
func (f Flow) Reply() Flow {
	return Flow{Src: f.Dst, Dst: f.Src, Proto: f.Proto, SPort: f.DPort, DPort: f.SPort, UID: f.UID, TOS: f.TOS}
}

// String returns the command that asks the kernel about the flow.
func (f Flow) String() string {
	w := new(words)
	w.add(ipCommand(f.Dst.Unmap().Is6()), "route get", f.Dst.Unmap().String())
	if f.Src.IsValid() {
		w.add("from", f.Src.Unmap().String())
	}
	for _, a := range []struct{ name, value string }{{"iif", f.IIF}, {"oif", f.OIF}} {
		if a.value != "" {
			w.add(a.name, a.value)
		}
	}
	if f.TOS != 0 {
		w.add("tos", hex(uint32(f.TOS)))
	}
	if f.Mark != 0 {
		w.add("mark", hex(f.Mark))
	}
	if f.UID != 0 && f.IIF == "" {
		w.add("uid", itoa(f.UID))
	}
	if f.askable() {
		w.add("ipproto", protoText(f.Proto))
		if f.SPort != 0 {
			w.add("sport", itoa(f.SPort))
		}
		if f.DPort != 0 {
			w.add("dport", itoa(f.DPort))
		}
	}
	return w.String()
}

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
	NotMatched Outcome = iota
	Passed             // goto, nop
	NoRoute            // its table has none
	Thrown             // its table has a route of type throw
	Suppressed         // its table has one that the rule does not accept
	Decided
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

// Gateway returns the next router; invalid if there is none, or several.
func (d *Decision) Gateway() netip.Addr {
	if len(d.Hops) != 1 {
		return netip.Addr{}
	}
	return d.Hops[0].Gateway
}

// Walk tries the rules for a packet. It asks nobody: see [Snapshot.Verify].
//
// IPv4 without Src: TCP and connected UDP sockets look up a second time once they
// have Decision.PrefSrc for a source. Rules that select by source apply to that
// second lookup alone.
func (s *Snapshot) Walk(f Flow) Walk {
	f.Src, f.Dst = f.Src.Unmap().WithZone(""), f.Dst.Unmap().WithZone("")
	w := Walk{Flow: f}
	ipv6 := f.Dst.Is6()
	k := s.key(&w)
	if s.only != nil && !slices.Contains(s.only, f.Dst) {
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

// key translates a flow into what is looked up, as the beginnings of
// ip_route_output_key_hash_rcu and ip_route_input_slow (net/ipv4/route.c),
// ip6_route_output_flags and ip6_route_input (net/ipv6/route.c) do.
func (s *Snapshot) key(w *Walk) *key {
	f := &w.Flow
	ipv6 := f.Dst.Is6()
	k := &key{src: f.Src, dst: f.Dst, mark: f.Mark, uid: f.UID, tos: f.TOS, proto: f.Proto, sport: f.SPort, dport: f.DPort,
		hasSource: f.Src.IsValid() && !f.Src.IsUnspecified()}
	if !k.src.IsValid() {
		k.src = unspecified(ipv6)
	}
	find := func(name string) int {
		l := s.Link(name)
		if l == nil {
			w.Doubt = "there is no link " + name
			return -1
		}
		return l.Index
	}
	k.iif = loopbackIndex
	if f.IIF != "" {
		k.iif, k.uid = find(f.IIF), 0
	}
	needsLink := f.Dst.IsMulticast() || f.Dst.IsLinkLocalUnicast() || f.Dst.IsLoopback() // rt6_need_strict
	if f.OIF != "" {
		k.oif = find(f.OIF)
	}
	k.strict = needsLink || k.oif != 0 && !k.hasSource
	s.joinVRF(k)
	k.routeLink = k.oif
	if f.IIF != "" {
		k.strict, k.routeLink = needsLink, k.iif
	}
	return k
}

const loopbackIndex = 1 // LOOPBACK_IFINDEX in the kernel's include/net/flow.h

// joinVRF is l3mdev_update_flow in the kernel's net/l3mdev/l3mdev.c.
func (s *Snapshot) joinVRF(k *key) {
	switch {
	case k.oif != 0:
		if k.l3mdev == 0 {
			k.l3mdev = s.l3Master(k.oif)
		}
		if k.l3mdev == k.oif {
			k.oif = 0 // the VRF's table decides
		}
	case k.iif > loopbackIndex && k.l3mdev == 0:
		k.l3mdev = s.l3Master(k.iif)
	}
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
		case ActionTable:
			if s.inTable(w, step, k) {
				return
			}
		case ActionGoto:
			step.Outcome = Passed
			to := slices.IndexFunc(rules, func(o Rule) bool { return o.Priority == r.Goto })
			if to < 0 {
				step.Note = "there is no rule of that priority"
				continue
			}
			i = to - 1 // a goto leads forward only
		case ActionNop:
			step.Outcome = Passed
		default:
			step.Outcome = Decided
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
		step.Outcome = NoRoute
		if f.unusable != nil {
			step.Note = "not used: " + f.unusable.String()
		}
		return false
	case f.route.Type == TypeThrow:
		step.Outcome = Thrown
		return false
	case f.route.Type.Rejects():
	case f.route.Dst.Bits() <= r.SuppressPrefix:
		step.Outcome, step.Note = Suppressed, fmt.Sprintf("prefix length %d <= %d", f.route.Dst.Bits(), r.SuppressPrefix)
		return false
	case r.SuppressGroup >= 0:
		in, all := s.inGroup(&f, r)
		if in != "" && all {
			step.Outcome, step.Note = Suppressed, fmt.Sprintf("%s is in group %d", in, r.SuppressGroup)
			return false
		}
		if in != "" {
			w.Doubt = fmt.Sprintf("rule %d suppresses the route if the kernel chooses the way by %s", r.Priority, in)
		}
	}
	step.Outcome = Decided
	w.Decision.Rule = r
	if r.findSource && r.From.IsValid() && !k.hasSource {
		w.Doubt = "rule " + itoa(r.Priority) + " chooses a source address itself"
	}
	if f.route.NextHops != 0 && len(f.route.Hops) == 0 && !f.route.Type.Rejects() {
		w.Doubt = "the kernel does not tell where next hop object " + itoa(f.route.NextHops) + " leads (net.ipv4.nexthop_compat_mode is 0)"
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
