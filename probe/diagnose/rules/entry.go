package rules

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"net/netip"
)

// This file judges what keeps packets from the tunnel: A1.

// outside reports whether the kernel sends the flow's packets elsewhere, and none
// has entered the tunnel. Then an answer says nothing about the tunnel.
func (f facts) outside() bool {
	r := &f.Flow.Route
	return f.Flow.Seen[probe.A1] == nil && r.Kind != evidence.RouteUnknown && (r.Kind != evidence.RouteFound || r.Interface != f.Interface)
}

// answeredOutside adds to the evidence that the probe was answered all the same.
func (f facts) answeredOutside(v *diagnose.Verdict) {
	if f.Flow.Probe.Answered && !f.Flow.Route.Local {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("%s answers, but past the tunnel, through %s", f.target(), f.Flow.Route.Interface))
	}
}

// noMatch: cryptokey routing has no peer for the destination.
func (f facts) noMatch(time.Time) *ruling {
	if f.Peer != nil {
		return nil
	}
	return &ruling{f.unmatched(), f.Flow.Probe.Done || f.Flow.Dropped != nil || f.outside()}
}

func (f facts) unmatched() diagnose.Verdict {
	dst := f.Flow.Target.Addr()
	v := diagnose.Verdict{Code: diagnose.NoAllowedIPsMatch, Checkpoint: probe.A1, Where: diagnose.WhereHere,
		Summary:  fmt.Sprintf("%s is in no peer's AllowedIPs", dst),
		Evidence: []evidence.Line{evidence.Kernel.Decides("cryptokey routing of %s finds no peer for %s", f.Interface, dst)}}
	if e := f.Flow.Dropped; e != nil && unmatchedReason(e.Reason) {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("the packet entered the tunnel and was refused there"))
	}
	f.answeredOutside(&v)
	host := hostPrefix(dst)
	if what := f.unfit(dst); what != "" {
		f.unfitTarget(&v, what)
	} else if p := f.Nearest; p != nil {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("nearest: %s has %s", p.Label(), joinPrefixes(p.AllowedIPs)))
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
	} else if f.Side == probe.SideB {
		v.Fix = fix.Steps{fix.Notef("add %s to the AllowedIPs of the peer that has it; who has what:", dst),
			fix.Check("wg show %s allowed-ips", f.Interface)}
	}
	return v
}

// unmatchedReason reports whether the node drops for want of a peer for the destination.
func unmatchedReason(r probe.Reason) bool {
	return r == probe.NoAllowedIPsMatch || r == probe.LinkScope
}

// notRouted: the kernel does not give the packet to the tunnel.
func (f facts) notRouted(time.Time) *ruling {
	r := f.Flow.Route
	if !f.outside() {
		return nil
	}
	dst := f.Flow.Target.Addr()
	v := diagnose.Verdict{Code: diagnose.RouteBypassesTunnel, Checkpoint: probe.A1, Where: diagnose.WhereHere,
		Summary: fmt.Sprintf("%s is in the AllowedIPs of %s, but its route leaves by %s, not %s", dst, f.Peer.Label(), r.Interface, f.Interface),
		Evidence: []evidence.Line{evidence.Kernel.Decides("ip route get %s: %s", dst, r.Describe()),
			evidence.Kernel.Says("no packet for it entered the tunnel")},
		Fix: routeFix(&r, f.Interface, f.routeInto(dst))}
	what := f.unfit(dst)
	switch {
	case r.Local:
		v.Summary = fmt.Sprintf("%s is this host's own address: no packet for it leaves", dst)
		v.Fix = fix.Steps{fix.Note("probe an address of the other side instead")}
	case r.Kind != evidence.RouteFound:
		v.Code = diagnose.DestNotRouted
		v.Summary = fmt.Sprintf("this host has no route to %s: %s", dst, r.Kind)
	}
	switch {
	case r.Local:
	case what != "":
		f.unfitTarget(&v, what)
	default:
		f.incomplete(&v)
	}
	f.answeredOutside(&v)
	return final(v)
}

// incomplete says what the interface lacks, and has that mended first: a route into
// it needs it to be up, and an address to send from.
func (f facts) incomplete(v *diagnose.Verdict) {
	var first fix.Steps
	if f.LinkDown {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("%s is down: routes by it are gone, or out of use", f.Interface))
		first = append(first, fix.Command("ip link set %s up", f.Interface))
	}
	if f.NoIPv6 != "" && (f.Flow.Target.Addr().Is6() || slices.ContainsFunc(f.Missing, func(p netip.Prefix) bool { return p.Addr().Is6() })) {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("%s has no IPv6: %s", f.Interface, f.NoIPv6))
		first = append(first, fix.Commands(f.EnableIPv6)...)
	}
	for _, p := range f.Missing {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("%s, which the configuration sets, is not an address of %s", p, f.Interface))
		first = append(first, fix.Command("ip address add %s dev %s", p, f.Interface))
	}
	v.Fix = append(first, v.Fix...)
}

// routeInto is the route that leads packets to dst into the interface. Where that is
// incomplete, one that was there may come back as it is mended.
func (f facts) routeInto(dst netip.Addr) fix.Step {
	if f.LinkDown || len(f.Missing) > 0 || f.NoIPv6 != "" && dst.Is6() {
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
	refused := errno == syscall.EPERM || errno == syscall.ECONNREFUSED
	p := f.Kernel.On(evidence.ToTunnel)
	v := diagnose.Verdict{Code: diagnose.OutputFirewall, Checkpoint: probe.A1, Where: diagnose.WhereHere,
		Summary:  fmt.Sprintf("the probe's packet to %s did not reach the tunnel", f.target()),
		Evidence: []evidence.Line{evidence.Kernel.Says("nothing for %s was read from %s", f.target(), f.Interface)},
		Fix:      fix.Steps{fix.Note("look for a rule that drops it in the output hook"), fix.Check("nft list ruleset")}}
	if refused {
		v.Evidence = append(v.Evidence,
			evidence.Kernel.Decides("the probe failed with %q and no packet had left: that is this host's own answer", errno))
	}
	switch {
	case errno == syscall.EPERM:
		v.Summary += ": this host refuses to send it"
		return &ruling{f.notPermitted(v, evidence.ToTunnel, f.Flow.XfrmBlocks), f.Flow.Probe.Done}
	case refused && f.traced() && p.Packets == 0:
		v.Summary += ": this host refuses to send it"
		return &ruling{refusal(v, f.Flow.XfrmBlocks, "output"), f.Flow.Probe.Done}
	case refused:
		v.Summary += ": this host rejects it"
		v.Evidence = append(v.Evidence, evidence.Inferred.Decides("a rule that rejects does that, and so does a closed port of this host "+
			"that a rule redirects it to"))
		v.Candidates = append(outgoing(v.Code), diagnose.Maybe(diagnose.RouteBypassesTunnel,
			"nft list ruleset; iptables-legacy-save -t nat: is it redirected?"))
		return &ruling{v, f.Flow.Probe.Done}
	case p.Lost != "":
		v.Evidence = append(v.Evidence,
			evidence.Kernel.Says("netfilter trace: it is seen last in the %s hook, and no rule that is traced has dropped it", p.Lost))
	case p.Passed != "":
		v.Evidence = append(v.Evidence,
			evidence.Kernel.Says("netfilter trace: it passes the %s hook: what is traced has not dropped it", p.Passed))
	}
	v.Candidates = []diagnose.Candidate{diagnose.Maybe(diagnose.OutputFirewall, "nft list ruleset: is there a drop in the output hook?")}
	if f.traced() {
		v.Candidates[0].Check = "what is not traced: iptables-legacy-save, tc filter show dev " + f.Interface + " egress, bpftool net"
		v.Fix = fix.Steps{fix.Note("look for what drops it and is not traced"), fix.Check("iptables-legacy-save; ip6tables-legacy-save"),
			fix.Check("tc -s qdisc show dev %s", f.Interface),
			fix.Check("tc filter show dev %s egress", f.Interface)}
	}
	if f.Flow.Route.Kind == evidence.RouteUnknown {
		v.Candidates = append(v.Candidates, diagnose.Maybe(diagnose.RouteBypassesTunnel,
			"ip route get %s: does it say dev %s?", f.Flow.Target.Addr(), f.Interface))
	}
	return &ruling{v, false}
}
