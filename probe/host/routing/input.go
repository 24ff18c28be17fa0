//go:build linux

package routing

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/probe/harmless"
)

// Setting is a sysctl and its value.
type Setting struct {
	Name  string
	Value int
}

// String returns the setting as sysctl(8) shows it.
func (s Setting) String() string { return fmt.Sprintf("%s = %d", s.Name, s.Value) }

// Forwarding is whether this host passes packets on.
type Forwarding struct {
	On       bool
	Settings []Setting // those that decide it, the one that counts first
	Sysctl   string    // what must be 1 for it, "" if it is on
	Evidence string
	Fix      []string // commands, none if it is on
}

// Forwarding reports whether packets that come in on the link are forwarded.
//
// IPv4 asks the link's own setting, to which net.ipv4.ip_forward is copied
// whenever it is written (IN_DEV_FORWARD in the kernel's
// include/linux/inetdevice.h). IPv6 asks the one for all links, and that of the
// link makes no difference but for force_forwarding, since Linux 6.17
// (ip6_forward in net/ipv6/ip6_output.c).
func (s *Snapshot) Forwarding(ipv6 bool, iif string) Forwarding {
	l := s.Link(iif)
	if l == nil {
		return Forwarding{Evidence: "there is no link " + iif}
	}
	var f Forwarding
	if ipv6 {
		const all = "net.ipv6.conf.all.forwarding"
		f.On = s.all6.forwarding != 0 || l.conf6.forceForwarding != 0
		f.Settings = []Setting{{all, s.all6.forwarding}}
		f.Sysctl = all
		if l.conf6.hasForce {
			force := sysctlName("ipv6", iif, "force_forwarding")
			f.Settings = append(f.Settings, Setting{force, l.conf6.forceForwarding})
			if s.forcesSome() {
				f.Sysctl = force
			}
		}
	} else {
		one := sysctlName("ipv4", iif, "forwarding")
		f.On = l.conf4.forwarding != 0
		f.Settings = []Setting{{one, l.conf4.forwarding}, {"net.ipv4.ip_forward", s.all4.forwarding}}
		f.Sysctl = "net.ipv4.ip_forward"
		if s.all4.forwarding != 0 { // written before the link was there, or switched off for it
			f.Sysctl = one
		}
	}
	state := "off"
	if f.On {
		state, f.Sysctl = "on", ""
	} else {
		f.Fix = []string{harmless.Command("sysctl -w %s=1", f.Sysctl)}
	}
	f.Evidence = fmt.Sprintf("forwarding of %s packets from %s is %s: %s", familyName(ipv6), iif, state, f.Settings[0])
	for _, more := range f.Settings[1:] {
		f.Evidence += ", " + more.String()
	}
	return f
}

// forcesSome reports whether IPv6 is forwarded by some links, of a host that is no router: with
// the setting for all it would take no more router advertisements.
func (s *Snapshot) forcesSome() bool {
	for _, l := range s.links {
		if l.conf6.forceForwarding != 0 {
			return true
		}
	}
	return false
}

func familyName(ipv6 bool) string {
	if ipv6 {
		return "IPv6"
	}
	return "IPv4"
}

// rpMode is how the source of an IPv4 packet is checked: the rp_filter of
// ip-sysctl.rst, RFC 3704.
type rpMode int

const (
	rpOff    rpMode = 0
	rpStrict rpMode = 1 // the way back must lead out of the link that it came in by
	rpLoose  rpMode = 2 // there must be a way back
)

// String returns "off", "strict" or "loose".
func (r rpMode) String() string {
	switch r {
	case rpOff:
		return "off"
	case rpStrict:
		return "strict"
	}
	return "loose"
}

// reversePath is whether a packet's source lets the kernel drop it.
type reversePath struct {
	Drops bool
	Mode  rpMode // IPv6 has none; its netfilter rules may do the same
	// Setting is the sysctl that Mode comes from, zero for IPv6.
	Setting Setting
	// Back is the lookup of the way back, nil if the kernel makes none. Its packet
	// "comes in" by the link that the real one would leave by.
	Back *Walk
	// Doubt says on what it depends, "" if on nothing: a packet that may leave by
	// several links is not dropped by all of them.
	Doubt    string
	Evidence []string // what was found, the verdict first
	Fix      []string // commands, the best first; none if it does not drop
}

// reversePath reports whether a packet that comes in on f.IIF is dropped because
// of its source: by rp_filter, or as a martian. The way of the packet itself, and
// so whether it is this host's or forwarded, is looked up too. The snapshot must
// hold routes to both addresses.
func (s *Snapshot) reversePath(f Flow) reversePath {
	f.Src, f.Dst = f.Src.Unmap().WithZone(""), f.Dst.Unmap().WithZone("")
	l := s.Link(f.IIF)
	if err := s.check(f); err != nil || l == nil || !f.Src.IsValid() {
		return reversePath{Doubt: "a packet that comes in needs a source, a destination and a link"}
	}
	if why := s.martian(l, f); why != "" {
		return reversePath{Drops: true, Evidence: []string{why}}
	}
	if f.Dst.Is6() {
		return reversePath{Evidence: []string{"IPv6 has no rp_filter"}}
	}
	rp := reversePath{Mode: rpMode(max(s.all4.rpFilter, l.conf4.rpFilter)),
		Setting: Setting{sysctlName("ipv4", l.Name, "rp_filter"), l.conf4.rpFilter}}
	if s.all4.rpFilter > l.conf4.rpFilter {
		rp.Setting = Setting{"net.ipv4.conf.all.rp_filter", s.all4.rpFilter}
	}
	way := s.Walk(f)
	if way.Decision.Type.Rejects() {
		rp.Evidence = []string{"the packet is dropped before its source is looked at: " + way.Decision.String()}
		return rp
	}
	d := &way.Decision
	if d.Type == TypeLocal || len(d.Hops) == 0 {
		s.validate(&rp, l, f, "")
		return rp
	}
	blank := rp
	var drops, passes []string
	for i, h := range d.Hops {
		one := blank
		s.validate(&one, l, f, h.Dev)
		if one.Drops {
			drops = append(drops, h.Dev)
		} else {
			passes = append(passes, h.Dev)
		}
		if i == 0 || one.Drops {
			rp = one
		}
	}
	if len(drops) > 0 && len(passes) > 0 {
		rp.Drops, rp.Fix = false, nil
		rp.Doubt = fmt.Sprintf("the packet is dropped if the kernel sends it out of %s, not if out of %s", drops[0], passes[0])
	}
	return rp
}

// martian is the beginning of ip_route_input_slow in the kernel's
// net/ipv4/route.c, and of ip6_rcv_core in net/ipv6/ip6_input.c.
func (s *Snapshot) martian(l *Link, f Flow) string {
	localnet := s.all4.routeLocalnet != 0 || l.conf4.routeLocalnet != 0
	switch {
	case f.Src.IsMulticast() || f.Src == limitedBroadcast:
		return fmt.Sprintf("the source %s is a multicast or broadcast address", f.Src)
	case f.Src == netip.IPv4Unspecified() && f.Dst != limitedBroadcast:
		return "the source is 0.0.0.0"
	case l.loopback || f.Dst.Is4() && localnet || l.vrf != 0 && f.Dst.Is6():
	case f.Src.IsLoopback() || f.Dst.IsLoopback():
		why := fmt.Sprintf("%s is a loopback address, and the packet came in on %s", f.Src, l.Name)
		if f.Dst.IsLoopback() {
			why = fmt.Sprintf("%s is a loopback address, and the packet came in on %s", f.Dst, l.Name)
		}
		if f.Dst.Is4() {
			why += ": " + Setting{sysctlName("ipv4", l.Name, "route_localnet"), l.conf4.routeLocalnet}.String()
		}
		return why
	}
	return ""
}

// validate is fib_validate_source and __fib_validate_source in the kernel's
// net/ipv4/fib_frontend.c.
func (s *Snapshot) validate(rp *reversePath, l *Link, f Flow, out string) {
	acceptLocal := s.all4.acceptLocal != 0 || l.conf4.acceptLocal != 0
	if rp.Mode == rpOff && (acceptLocal || s.stock4()) {
		t, r := s.AddrType(f.Src)
		if acceptLocal || t != TypeLocal || r.Dst.Bits() != 32 {
			rp.pass("rp_filter is off on %s: %s", l.Name, rp.Setting)
			return
		}
	}
	useMark := s.all4.srcValidMark != 0 || l.conf4.srcValidMark != 0
	mark := uint32(0)
	if useMark {
		mark = f.Mark
	}
	rp.Back = s.wayBack(l, f, out, mark)
	d := &rp.Back.Decision
	switch {
	case d.Type == TypeLocal && !acceptLocal:
		rp.Drops = true
		rp.Evidence = []string{fmt.Sprintf("the source %s is this host's own address, and the packet came in on %s", f.Src, l.Name),
			d.String(), Setting{sysctlName("ipv4", l.Name, "accept_local"), l.conf4.acceptLocal}.String()}
		rp.Fix = []string{harmless.Command("sysctl -w %s=1", sysctlName("ipv4", l.Name, "accept_local"))}
		return
	case !d.Type.Rejects() && d.Type != TypeUnicast && d.Type != TypeLocal:
		rp.Drops = true
		rp.Evidence = []string{fmt.Sprintf("the source %s is a %s address", f.Src, d.Type), d.String()}
		return
	case s.leadsBack(d, l):
		rp.pass("the route back to %s leads out of %s, where the packet came in", f.Src, l.Name)
		return
	}
	addressless := !slices.ContainsFunc(l.Addrs, func(a Addr) bool { return a.Prefix.Addr().Is4() })
	switch {
	case rp.Mode == rpOff, rp.Mode != rpStrict && !d.Type.Rejects() && !addressless:
		rp.pass("rp_filter is %s on %s: %s", rp.Mode, l.Name, rp.Setting)
		return
	}
	rp.Drops = true
	leads := "there is no route back to " + f.Src.String()
	if !d.Type.Rejects() {
		leads = fmt.Sprintf("the route back to %s leads out of %s", f.Src, d.Hops[0].Dev)
	}
	rp.Evidence = []string{
		fmt.Sprintf("rp_filter drops packets from %s that come in on %s: %s", f.Src, l.Name, leads),
		fmt.Sprintf("%s (%s)", rp.Setting, rp.Mode), d.String()}
	s.fix(rp, l, f, out, useMark, addressless)
}

// fix finds out what would let the packet pass.
func (s *Snapshot) fix(rp *reversePath, l *Link, f Flow, out string, useMark, addressless bool) {
	if f.Mark != 0 && !useMark {
		marked := s.wayBack(l, f, out, f.Mark)
		if s.leadsBack(&marked.Decision, l) {
			rp.Evidence = append(rp.Evidence, fmt.Sprintf("with the packet's mark 0x%x it would be %s, but "+
				"net.ipv4.conf.all.src_valid_mark = 0", f.Mark, &marked.Decision))
			rp.Fix = append(rp.Fix, "sysctl -w net.ipv4.conf.all.src_valid_mark=1")
		}
	}
	switch {
	case addressless:
		rp.Evidence = append(rp.Evidence, l.Name+" has no IPv4 address: there even the loose check needs a route back through it")
		rp.Fix = append(rp.Fix, harmless.Command("ip -4 route add %s dev %s", f.Src, l.Name))
	case rp.Back.Decision.Type.Rejects():
		rp.Fix = append(rp.Fix, harmless.Command("ip -4 route add %s dev %s", f.Src, l.Name))
	default:
		// The greater of the two settings counts, so that the link's own is enough.
		rp.Fix = append(rp.Fix, harmless.Command("sysctl -w %s=2", sysctlName("ipv4", l.Name, "rp_filter")))
	}
}

func (rp *reversePath) pass(format string, args ...any) {
	rp.Evidence = []string{fmt.Sprintf(format, args...)}
}

// wayBack looks up where an answer to a packet would go. The kernel takes the
// answer to come in where the packet would go out, and its user to be 0.
func (s *Snapshot) wayBack(l *Link, f Flow, out string, mark uint32) *Walk {
	w := &Walk{Flow: f.Reply()}
	w.Flow.Mark, w.Flow.UID = mark, 0
	w.Flow.IIF = out
	k := &key{src: f.Dst, dst: f.Src, hasSource: true, mark: mark, tos: f.TOS, proto: f.Proto, sport: f.DPort, dport: f.SPort,
		iif: loopbackIndex, l3mdev: s.l3Master(l.Index)}
	if o := s.Link(out); o != nil {
		k.iif = o.Index
	}
	s.joinVRF(k)
	w.rules(s, s.Rules4, k)
	return w
}

// leadsBack is fib_info_nh_uses_dev: whether any way of the route is by the link,
// or by a link of the VRF that it is.
func (s *Snapshot) leadsBack(d *Decision, l *Link) bool {
	if d.Type == TypeLocal && l.loopback {
		return true
	}
	return d.Route != nil && !d.Type.Rejects() && slices.ContainsFunc(d.Route.Hops, func(h Hop) bool {
		return h.Link == l.Index || s.l3Master(h.Link) == l.Index
	})
}
