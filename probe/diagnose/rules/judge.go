package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// facts are facts to ask.
type facts struct{ *diagnose.Facts }

// Judge finds the verdict that the facts support at time now. It reports
// settled if more of the same would not change it; otherwise it is what can be
// said so far, and is the verdict if there is no more time.
func Judge(of *diagnose.Facts, now time.Time) (v diagnose.Verdict, settled bool) {
	f := facts{of}
	v, settled = f.judge(now)
	if f.Onward != nil && f.Flow.Seen[probe.A1] != nil && v.Code == diagnose.NoReplyFromDestination {
		v, settled = facts{f.Onward}.judge(now)
	}
	if !v.Certain && v.Code != diagnose.Idle {
		f.blind(&v)
	}
	if f.Changed != "" && !v.Healthy() && v.Code != diagnose.ConnectionRefused {
		v.Evidence = append(v.Evidence, f.Changed+": it has been changed since")
		v.Fix = append(fix.Steps{fix.Note("restore the configured state:"), fix.Command("wgnode reload %s", f.Interface),
			fix.Note("or:")}, v.Fix...)
	}
	return v, settled
}

func (f facts) judge(now time.Time) (v diagnose.Verdict, settled bool) {
	if _, r := f.first(now); r != nil {
		return r.Verdict, r.settled
	}
	return f.idle(now), false
}

// first is the first rule that finds something, and what; nil if none does.
func (f facts) first(now time.Time) (*rule, *ruling) {
	rules := ordered[viewOf(f)]
	for i := range rules {
		if r := rules[i].find(f, now); r != nil {
			return &rules[i], r
		}
	}
	return nil, nil
}

// maybe is a possible cause, and the check that tells it from others.
func maybe(code diagnose.Code, check string) diagnose.Candidate {
	return diagnose.Candidate{Code: code, Check: check}
}

func healthy(summary string, evidence ...string) diagnose.Verdict {
	return diagnose.Verdict{Code: diagnose.Healthy, Where: diagnose.WhereHere, Certain: true, Summary: summary, Evidence: evidence}
}

func (f facts) idle(now time.Time) diagnose.Verdict {
	if f.Flow != nil && f.Flow.Seen[probe.A1] != nil {
		return diagnose.Verdict{Code: diagnose.Idle, Where: diagnose.WhereHere,
			Summary: fmt.Sprintf("packets to %s entered the tunnel; the time was too short to say what becomes of them", f.target())}
	}
	if f.Flow != nil {
		return diagnose.Verdict{Code: diagnose.Idle, Where: diagnose.WhereHere,
			Summary:  "no matching packet was seen",
			Evidence: []string{fmt.Sprintf("no packet to %s came out of %s or entered it", f.target(), f.Interface)},
			Fix:      fix.Steps{fix.Note("on the host that asks, while this is watched:"), f.askingCommand()}}
	}
	why := "no handshake was attempted"
	if f.Peer != nil && f.Peer.Handshaking(now) {
		why = "the handshake that has begun is not complete yet"
	}
	return diagnose.Verdict{Code: diagnose.Idle, Where: diagnose.WhereHere,
		Summary: fmt.Sprintf("no session with %s, and %s", f.Peer.Label(), why)}
}

// answered: the destination answers the probe, and by way of the tunnel.
func (f facts) answered(time.Time) *ruling {
	if !f.Flow.Probe.Answered || f.outside() {
		return nil
	}
	v := healthy(fmt.Sprintf("%s answers through %s", f.target(), f.Peer.Label()),
		"the probe was answered after "+probe.Brief(f.Flow.Probe.Took))
	if m := f.PathMTU; m != nil {
		v.Evidence = append(v.Evidence, measured(m))
	}
	return final(v)
}

// overheard: somebody else's packet has got its answer.
func (f facts) overheard(time.Time) *ruling {
	a1, a6 := f.Flow.Seen[probe.A1], f.Flow.Seen[probe.A6]
	p := f.Kernel.On(evidence.FromTunnel)
	if f.Flow.Probe.Sent || f.Flow.Answer != nil || a1 == nil || a6 == nil || a6.Time < a1.Time || !f.Flow.Answers.Given() {
		return nil
	}
	if f.Kernel != nil && f.Kernel.Blind == "" && !f.Kernel.WireOnly && p.Passed == "" {
		return nil
	}
	return final(healthy(fmt.Sprintf("%s answers through %s", f.target(), f.Peer.Label()),
		"the packet entered "+f.Interface+", and its reply came out of it"))
}

// outside reports whether the kernel sends the flow's packets elsewhere, and none
// has entered the tunnel. Then an answer says nothing about the tunnel.
func (f facts) outside() bool {
	r := &f.Flow.Route
	return f.Flow.Seen[probe.A1] == nil && r.Kind != evidence.RouteUnknown && (r.Kind != evidence.RouteFound || r.Interface != f.Interface)
}

// answeredOutside adds to the evidence that the probe was answered all the same.
func (f facts) answeredOutside(v *diagnose.Verdict) {
	if f.Flow.Probe.Answered && !f.Flow.Route.Local {
		v.Evidence = append(v.Evidence, fmt.Sprintf("%s answers, but past the tunnel, through %s", f.target(), f.Flow.Route.Interface))
	}
}

func (f facts) alive(now time.Time) *ruling {
	h := &f.Peer.Handshake
	if !h.Alive(now) {
		return nil
	}
	v := healthy(fmt.Sprintf("the session with %s is up", f.Peer.Label()),
		fmt.Sprintf("handshake completed %s ago", probe.Brief(now.Sub(h.Established))))
	return final(v)
}

// refused: the far service, or a host on the way, says no, through the tunnel.
func (f facts) refused(time.Time) *ruling {
	e := f.Flow.Answer
	if e == nil {
		return nil
	}
	// On the side that is called this host may have said it itself. What it did to
	// the request is told apart from the answer, and perhaps later.
	settled := f.Side == probe.SideA || !f.traced() || f.Kernel.On(evidence.FromTunnel).Packets > 0
	src, _ := e.Inner()
	who := src.Addr().String()
	way := "came back through " + f.Peer.Label()
	if e.Seam == probe.SeamForward {
		way = "was the answer to a socket of this host"
	}
	if !e.ICMPError() {
		return &ruling{diagnose.Verdict{Code: diagnose.ConnectionRefused, Where: diagnose.WhereBeyond, Certain: true,
			Summary:  fmt.Sprintf("the tunnel works; %s refuses the connection: nothing listens there, or a firewall there rejects it", f.target()),
			Evidence: []string{fmt.Sprintf("TCP reset from %s %s", src, way)},
			Fix:      fix.Steps{fix.Note("on " + who + ": start the service, or see what listens"), fix.Check("ss -tlnp").On(who)}}, settled}
	}
	code, says := innerICMP(e)
	icmpType, icmpCode, _ := e.ICMP()
	v := diagnose.Verdict{Code: code, Where: diagnose.WhereBeyond, Certain: true,
		Summary:  fmt.Sprintf("the tunnel works; %s says: %s", who, says),
		Evidence: []string{fmt.Sprintf("ICMP type %d code %d (%s) from %s %s", icmpType, icmpCode, says, who, way)}}
	v.Checkpoint = innerICMPCheckpoint[code]
	switch code {
	case diagnose.ConnectionRefused:
		if f.Flow.Probe.Sent && f.Flow.Target.Port() != 0 {
			// To TCP a host answers a closed port with a reset.
			v.Summary = fmt.Sprintf("the tunnel works; %s refuses the connection, by a firewall rule: it says %s, and not by a TCP reset", who, says)
			v.Fix = fix.Steps{fix.Note("on " + who + ": a firewall rule rejects it"), fix.Check("nft list ruleset").On(who)}
			break
		}
		dst := f.Flow.Target.Addr().String()
		v.Fix = fix.Steps{fix.Note("on " + dst + ": see what listens"), fix.Check("ss -ulnp").On(dst)}
	case diagnose.NoRouteOnward:
		v.Fix = fix.Steps{fix.Note("on " + who + ":"), fix.Check("ip route get %s", f.Flow.Target.Addr()).On(who)}
	case diagnose.NeighborUnreachable:
		v.Fix = fix.Steps{fix.Note("on " + who + ": is the destination up, and on that link?"),
			fix.Check("ip neighbour show %s", f.Flow.Target.Addr()).On(who)}
	case diagnose.ForwardFirewall:
		v.Fix = fix.Steps{fix.Note("on " + who + ": a firewall rule rejects it"), fix.Check("nft list ruleset").On(who)}
	}
	return &ruling{v, settled}
}

var innerICMPCheckpoint = map[diagnose.Code]probe.Checkpoint{
	diagnose.NoRouteOnward: probe.B5, diagnose.ForwardFirewall: probe.B5, diagnose.NeighborUnreachable: probe.B6,
	diagnose.NoReplyFromDestination: probe.B6,
}

// innerICMP reads an ICMP error that came back inside the tunnel.
func innerICMP(e *probe.Event) (diagnose.Code, string) {
	typ, code, _ := e.ICMP()
	v6 := e.Proto == probe.ProtoICMPv6
	switch probe.ICMPReason(v6, typ, code) {
	case probe.ICMPPortUnreachable:
		return diagnose.ConnectionRefused, "port unreachable"
	case probe.ICMPProhibited:
		return diagnose.ForwardFirewall, "administratively prohibited"
	case probe.ICMPNetUnreachable:
		return diagnose.NoRouteOnward, "network unreachable"
	}
	if unreachable := v6 && typ == 1 || !v6 && typ == 3; unreachable {
		return diagnose.NeighborUnreachable, "host unreachable"
	}
	return diagnose.NoReplyFromDestination, "time exceeded: the packet goes in circles, or its way is too long"
}

func (f facts) target() string { return probe.TargetText(f.Flow.Target) }

// noMatch: cryptokey routing has no peer for the destination.
func (f facts) noMatch(time.Time) *ruling {
	if f.Peer != nil {
		return nil
	}
	dst := f.Flow.Target.Addr()
	v := diagnose.Verdict{Code: diagnose.NoAllowedIPsMatch, Checkpoint: probe.A1, Where: diagnose.WhereHere, Certain: true,
		Summary:  fmt.Sprintf("%s is in no peer's AllowedIPs", dst),
		Evidence: []string{fmt.Sprintf("cryptokey routing of %s finds no peer for %s", f.Interface, dst)}}
	if e := f.Flow.Dropped; e != nil && e.Reason == probe.NoAllowedIPsMatch {
		v.Evidence = append(v.Evidence, "the packet entered the tunnel and was refused there")
	}
	f.answeredOutside(&v)
	host := hostPrefix(dst)
	if p := f.Nearest; p != nil {
		v.Evidence = append(v.Evidence, fmt.Sprintf("nearest: %s has %s", p.Label(), joinPrefixes(p.AllowedIPs)))
		all := append(slices.Clone(p.AllowedIPs), host)
		v.Fix = fix.Steps{
			fix.Notef("if %s is behind %s, in %s:", dst, p.Label(), f.sectionOf(p)),
			fix.Config(f.sectionOf(p), "AllowedIPs", joinPrefixes(all)),
			fix.Note("or at once:"),
			fix.Command("wg set %s peer %s allowed-ips %s", f.Interface, p.Key, commaPrefixes(all)),
		}
		if f.Flow.Route.Interface != f.Interface {
			v.Fix = append(v.Fix, fix.Command("ip route add %s dev %s", host, f.Interface))
		}
	}
	return &ruling{v, f.Flow.Probe.Done || f.Flow.Dropped != nil || f.outside()}
}

// notRouted: the kernel does not give the packet to the tunnel.
func (f facts) notRouted(time.Time) *ruling {
	r := f.Flow.Route
	if !f.outside() {
		return nil
	}
	dst := f.Flow.Target.Addr()
	v := diagnose.Verdict{Code: diagnose.RouteBypassesTunnel, Checkpoint: probe.A1, Where: diagnose.WhereHere, Certain: true,
		Summary: fmt.Sprintf("%s is in the AllowedIPs of %s, but its route leaves by %s, not %s", dst, f.Peer.Label(), r.Interface, f.Interface),
		Evidence: []string{"ip route get " + dst.String() + ": " + r.Describe(),
			"no packet for it entered the tunnel"},
		Fix: routeFix(&r, f.routeInto(dst))}
	switch {
	case r.Local:
		v.Summary = fmt.Sprintf("%s is this host's own address: no packet for it leaves", dst)
		v.Fix = fix.Steps{fix.Note("probe an address of the other side instead")}
	case r.Kind != evidence.RouteFound:
		v.Code = diagnose.DestNotRouted
		v.Summary = fmt.Sprintf("this host has no route to %s: %s", dst, r.Kind)
	}
	f.incomplete(&v)
	f.answeredOutside(&v)
	return final(v)
}

// incomplete says what the interface lacks, and has that mended first: a route into
// it needs it to be up, and an address to send from.
func (f facts) incomplete(v *diagnose.Verdict) {
	var first fix.Steps
	if f.LinkDown {
		v.Evidence = append(v.Evidence, f.Interface+" is down: routes by it are gone, or out of use")
		first = append(first, fix.Command("ip link set %s up", f.Interface))
	}
	for _, p := range f.Missing {
		v.Evidence = append(v.Evidence, fmt.Sprintf("%s, which the configuration gives it, is no address of %s", p, f.Interface))
		first = append(first, fix.Command("ip address add %s dev %s", p, f.Interface))
	}
	v.Fix = append(first, v.Fix...)
}

// routeInto is the route that leads packets to dst into the interface. Where that is
// incomplete, one that was there may come back as it is mended.
func (f facts) routeInto(dst netip.Addr) fix.Step {
	if f.LinkDown || len(f.Missing) > 0 {
		return fix.Command("ip route replace %s dev %s", hostPrefix(dst), f.Interface)
	}
	return fix.Command("ip route add %s dev %s", hostPrefix(dst), f.Interface)
}

// notEntered: routed to the tunnel, and yet it did not come.
func (f facts) notEntered(time.Time) *ruling {
	if f.Flow.Seen[probe.A1] != nil || !f.Flow.Probe.Sent {
		return nil
	}
	errno := f.Flow.Probe.Errno
	certain := errno == syscall.EPERM || errno == syscall.ECONNREFUSED
	p := f.Kernel.On(evidence.ToTunnel)
	v := diagnose.Verdict{Code: diagnose.OutputFirewall, Checkpoint: probe.A1, Where: diagnose.WhereHere, Certain: certain,
		Summary:  fmt.Sprintf("the probe's packet to %s did not reach the tunnel", f.target()),
		Evidence: []string{"nothing for " + f.target() + " was read from " + f.Interface},
		Fix:      fix.Steps{fix.Note("look for a rule that drops it in the output hook"), fix.Check("nft list ruleset")}}
	if certain {
		v.Evidence = append(v.Evidence, fmt.Sprintf("the probe failed with %q and no packet had left: that is this host's own answer", errno))
	}
	switch {
	case certain && f.traced() && p.Packets == 0:
		v.Summary += ": this host refuses to send it"
		return &ruling{refusal(v, f.Flow.XfrmBlocks, "output"), f.Flow.Probe.Done}
	case certain:
		v.Summary += ": netfilter on this host drops or rejects it"
		return final(v)
	case p.Lost != "":
		v.Evidence = append(v.Evidence, "netfilter trace: it is seen last in the "+p.Lost+" hook, and no rule that is traced has dropped it")
	case p.Passed != "":
		v.Evidence = append(v.Evidence, "netfilter trace: it passes the "+p.Passed+" hook: what is traced has not dropped it")
	}
	v.Candidates = []diagnose.Candidate{maybe(diagnose.OutputFirewall, "nft list ruleset: is there a drop in the output hook?")}
	if f.traced() {
		v.Candidates[0].Check = "what is not traced: iptables-legacy-save, tc filter show dev " + f.Interface + " egress, bpftool net"
		v.Fix = fix.Steps{fix.Note("look for what drops it and is not traced"), fix.Check("iptables-legacy-save; ip6tables-legacy-save"),
			fix.Check("tc -s qdisc show dev %s", f.Interface),
			fix.Check("tc filter show dev %s egress", f.Interface)}
	}
	if f.Flow.Route.Kind == evidence.RouteUnknown {
		v.Candidates = append(v.Candidates, maybe(diagnose.RouteBypassesTunnel, "ip route get "+f.Flow.Target.Addr().
			String()+": does it say dev "+f.Interface+"?"))
	}
	return &ruling{v, false}
}
