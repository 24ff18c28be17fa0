package rules

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file judges by what the kernel was seen to do with a flow's packets,
// before they enter the tunnel and after they leave it. A drop belongs to the
// checkpoint that did not happen because of it.

// notForwarded is what a trace shows of a packet that is lost where it should have been
// forwarded.
const notForwarded = "it passes prerouting and is not forwarded"

// dropVerdict is what all verdicts about a drop have in common.
func dropVerdict(code diagnose.Code, at probe.Checkpoint, d *evidence.Drop, what string) diagnose.Verdict {
	return diagnose.Verdict{Code: code, Checkpoint: at, Where: diagnose.WhereHere,
		Summary: fmt.Sprintf("%s %s %s", d.By(), what, "on this host"), Evidence: d.Evidence(), Fix: fix.FromLines(d.Fix)}
}

// outputDropped: the inner packet does not get as far as the tunnel.
func (f facts) outputDropped(time.Time) *ruling {
	p := f.Kernel.On(evidence.ToTunnel)
	if p.Drop == nil || f.Flow.Seen[probe.A1] != nil {
		return nil
	}
	v := dropVerdict(diagnose.OutputFirewall, probe.A1, p.Drop, "the packet to "+f.target()+" before it reaches the tunnel")
	return final(v)
}

// diverted: routing leads the packet into the tunnel, but a rule makes another packet
// of it on the way, which leaves elsewhere.
func (f facts) diverted(time.Time) *ruling {
	p := f.Kernel.On(evidence.ToTunnel)
	if f.Flow.Seen[probe.A1] != nil || p.Drop != nil || p.Passed != "postrouting" || p.Out == "" || p.Out == f.Interface {
		return nil
	}
	v := diagnose.Verdict{Code: diagnose.RouteBypassesTunnel, Checkpoint: probe.A1, Where: diagnose.WhereHere,
		Summary: fmt.Sprintf("the packet to %s is rewritten by a rule on this host (NAT or mark) and leaves via %s instead of entering %s",
			f.target(), p.Out, f.Interface),
		Evidence: []evidence.Line{evidence.Kernel.Decides("netfilter trace: %s > %s left by %s%s", p.Src, p.Dst, p.Out, comma(p.Changed)),
			evidence.Kernel.Says("no packet for it entered the tunnel")},
		Fix: fix.Commands(p.Spare...)}
	if p.ChangedBy != "" {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("rule: %s", p.ChangedBy))
	} else {
		v.Fix = fix.Steps{fix.Note("look for the rule that translates or marks it"), fix.Check("nft list ruleset"), fix.Check("ip rule")}
	}
	return final(v)
}

// filtered is the verdict on packets that were lost behind prerouting, where
// the kernel checks sources, and whose source does not pass.
func filtered(p *evidence.Traversal, at probe.Checkpoint, what string) *ruling {
	said := confirms(p, "IP_RPFILTER", "IP_LOCAL_SOURCE")
	if p.Lost != "prerouting" || p.Source == nil || !p.Source.Certain() && said == nil || otherwise(p) {
		return nil
	}
	if p.Source.Back.Local {
		v := ownSource(p, at, what)
		v.Evidence = append(said, v.Evidence...)
		return final(v)
	}
	v := diagnose.Verdict{Code: diagnose.ReversePathFilter, Checkpoint: at, Where: diagnose.WhereHere,
		Summary: fmt.Sprintf("the kernel drops %s that come in on %s: the route back to that source leads elsewhere", what, p.In),
		Evidence: append(append(said, evidence.Kernel.Decides("netfilter trace: they pass prerouting and are seen no more")),
			evidence.Kernel.Each(p.Source.Evidence)...),
		Fix: fix.Commands(p.Source.Fix...)}
	return final(v)
}

// ownSource is the verdict on packets from outside whose source is this host's own address.
// No setting is at fault: somebody else uses the address.
func ownSource(p *evidence.Traversal, at probe.Checkpoint, what string) diagnose.Verdict {
	return diagnose.Verdict{Code: diagnose.ReversePathFilter, Checkpoint: at, Where: diagnose.WhereHere,
		Summary: fmt.Sprintf("the kernel drops %s that come in on %s: their source %s is this host's own address, "+
			"which another host uses, too", what, p.In, p.Src.Addr()),
		Evidence: append([]evidence.Line{evidence.Kernel.Decides("netfilter trace: they pass prerouting and are seen no more")},
			evidence.Kernel.Each(p.Source.Evidence)...),
		Fix: fix.Steps{fix.Notef("who else has %s? Give one of the two another address", p.Src.Addr())}}
}

// traced is a line of netfilter's trace that decides.
func traced(seen string) evidence.Line { return evidence.Kernel.Decides("netfilter trace: %s", seen) }

// blocked is the verdict on packets that netfilter has let pass and that are refused
// after that.
func (f facts) blocked(p *evidence.Traversal, code diagnose.Code, at probe.Checkpoint, what string, seen evidence.Line) *ruling {
	why, mend := f.blocks(p)
	if len(why) == 0 || otherwise(p) {
		return nil
	}
	return final(diagnose.Verdict{Code: code, Checkpoint: at, Where: diagnose.WhereHere,
		Summary:  "IPsec on this host refuses " + what,
		Evidence: slices.Concat(confirms(p, "XFRM_POLICY"), []evidence.Line{seen}, why),
		Fix:      mend})
}

// innerInDropped: the reply has left the tunnel, and does not get to the
// application, or to the host that asked.
func (f facts) innerInDropped(time.Time) *ruling {
	p := f.Kernel.On(evidence.FromTunnel)
	if f.Flow.Seen[probe.A6] == nil {
		return nil
	}
	if p.Drop == nil {
		what := fmt.Sprintf("the replies of %s", f.target())
		if p.Passed == "input" {
			return f.blocked(p, diagnose.InputFirewall, probe.A6, what, traced("they pass the input hook, and did not reach the application"))
		}
		if r := overruled(p, probe.A6, what); r != nil {
			return r
		}
		return filtered(p, probe.A6, what)
	}
	// A reply without its request may be one to somebody whose request is yet to
	// be seen to come out of the tunnel.
	settled := f.Flow.Probe.Sent || f.Flow.Seen[probe.A1] != nil
	v := dropVerdict(diagnose.InputFirewall, probe.A6, p.Drop, fmt.Sprintf("the reply of %s after it has left the tunnel", f.target()))
	return &ruling{v, settled}
}

// rejected: this host itself sends the answer that says no. What it was seen to
// do tells more than the answer.
func (f facts) rejected(now time.Time) *ruling {
	if f.Flow.Answer == nil || f.Kernel.On(evidence.ToTunnel).Packets > 0 && f.Kernel.On(evidence.ToTunnel).In != "" {
		return nil
	}
	if r := f.forwarded(now); r != nil {
		return r
	}
	if d := f.Kernel.On(evidence.FromTunnel).KernelDrop; d != nil && d.Reason == "IP_INHDR" {
		return f.behindKernel(now)
	}
	return f.neighborSilent(now)
}

// forwarded judges, as the side that is called, what becomes of the request
// behind the tunnel: B5.
func (f facts) forwarded(time.Time) *ruling {
	if f.Flow.Seen[probe.B4] == nil || f.Flow.Paired() && f.Flow.Answer == nil || f.Kernel == nil {
		return nil
	}
	p, dst := f.Kernel.On(evidence.FromTunnel), f.Flow.Target.Addr()
	what := fmt.Sprintf("the packet to %s", f.target())
	if p.Drop != nil {
		if p.Drop.Hook == "input" || f.Flow.Route.Local && (p.Drop.Hook == "prerouting" || p.Drop.Hook == "ingress") {
			return final(dropVerdict(diagnose.InputFirewall, probe.B7, p.Drop, what+" after it has left the tunnel"))
		}
		return final(dropVerdict(diagnose.ForwardFirewall, probe.B5, p.Drop, what+" between the tunnel and its way out"))
	}
	if p.Passed == "input" {
		return f.blocked(p, diagnose.InputFirewall, probe.B7, what, traced("it passes the input hook, and nothing answers"))
	}
	if r := overruled(p, probe.B7, fmt.Sprintf("packets to %s", f.target())); r != nil {
		return r
	}
	if p.Passed == "postrouting" {
		return nil
	}
	if r := f.onwardTTL(p, "packets to "+f.target()); r != nil {
		return r
	}
	if r := filtered(p, probe.B5, what); r != nil {
		// The answer takes that way, too: it is what must be mended.
		if back := &p.Source.Back; back.Kind != evidence.RouteUnknown && !(back.Kind == evidence.RouteFound && back.Interface == f.Interface) {
			r.Fix = routeFix(back, f.Interface, fix.Command("ip route add %s dev %s", hostPrefix(p.Src.Addr()), f.Interface))
		}
		return r
	}
	if p.Lost != "prerouting" && f.Kernel.Blind == "" || otherwise(p) {
		return nil
	}
	v := diagnose.Verdict{Checkpoint: probe.B5, Where: diagnose.WhereHere}
	seen := evidence.Kernel.Decides("netfilter trace: %s", notForwarded)
	if p.Lost == "" {
		seen = evidence.Inferred.Decides("written to %s, and no reply entered it", f.Interface)
	}
	switch {
	case p.Route.Kind != evidence.RouteFound && p.Route.Kind != evidence.RouteUnknown:
		v.Code = diagnose.NoRouteOnward
		v.Summary = fmt.Sprintf("this host has no route to %s: %s", dst, p.Route.Kind)
		v.Evidence = append(confirms(p, "IP_INNOROUTES", "NOT_SPECIFIED"), seen,
			evidence.Kernel.Decides("for packets that come in on %s: %s", f.Interface, p.Route.Describe()))
		v.Fix = fix.Steps{fix.Notef("by the link or the gateway that %s is behind:", dst),
			fix.Command("ip route add %s via GATEWAY dev LINK", hostPrefix(dst))}
		if p.Route.Kind != evidence.RouteNone && p.Route.Remove != "" {
			v.Fix = diagnose.RemoveRoute(&p.Route, f.elsewhere)
		}
	case p.Forwarding != nil && !p.Forwarding.On:
		v.Code = diagnose.ForwardingDisabled
		v.Summary = fmt.Sprintf("%s is not this host's own, and this host does not forward what comes in on %s", dst, f.Interface)
		v.Evidence = append(confirms(p, "IP_INADDRERRORS"), seen, evidence.Kernel.Decides("%s", p.Forwarding.Evidence))
		v.Fix = fix.Commands(p.Forwarding.Fix...)
		if p.Route.Interface == f.Interface && f.Onward == nil { // forwarded, it comes to nobody
			v.Fix = append(v.Fix, fix.Notef("then %s goes into %s again: it must be in the AllowedIPs of the peer that has it; who has what:",
				dst, f.Interface), fix.Check("wg show %s allowed-ips", f.Interface))
		}
	case p.Lost == "prerouting":
		return f.blocked(p, diagnose.ForwardFirewall, probe.B5, what, traced(notForwarded))
	default:
		return nil
	}
	return final(v)
}

// returned judges what becomes of the answer on its way back into the tunnel:
// B7.
func (f facts) returned(time.Time) *ruling {
	p := f.Kernel.On(evidence.ToTunnel)
	own := f.Flow.Route.Local && f.Kernel.On(evidence.FromTunnel).Passed == "input"
	if p.Packets == 0 && !own || f.Flow.Paired() || f.Flow.Seen[probe.B4] == nil {
		return nil
	}
	from := fmt.Sprintf("the reply of %s", f.target())
	if p.Drop != nil {
		return final(dropVerdict(diagnose.ReturnFirewall, probe.B7, p.Drop, from+" on its way into the tunnel"))
	}
	if r := filtered(p, probe.B7, from); r != nil {
		return r
	}
	if r := f.notReversed(p, from); r != nil {
		return r
	}
	w := &p.Route
	// A next hop that is silent on the link that routing chose is what comes of the wrong route.
	astray := w.Kind == evidence.RouteFound && w.Interface != f.Interface && p.KernelDrop.NextHopSilent() && p.KernelDrop.Device == w.Interface
	if otherwise(p) && !astray {
		return nil
	}
	if p.Lost == "prerouting" && p.Forwarding != nil && !p.Forwarding.On && w.Interface == f.Interface {
		return final(diagnose.Verdict{Code: diagnose.ForwardingDisabled, Checkpoint: probe.B7, Where: diagnose.WhereHere,
			Summary: fmt.Sprintf("%s comes back to this host, which does not forward what comes in on %s", from, p.In),
			Evidence: append(confirms(p, "IP_INADDRERRORS"), evidence.Kernel.Decides("netfilter trace: %s", notForwarded),
				evidence.Kernel.Decides("%s", p.Forwarding.Evidence)),
			Fix: fix.Commands(p.Forwarding.Fix...)})
	}
	if w.Kind == evidence.RouteUnknown || w.Kind == evidence.RouteFound && w.Interface == f.Interface {
		if p.Lost == "prerouting" {
			return f.blocked(p, diagnose.ReturnFirewall, probe.B7, from, traced(notForwarded))
		}
		return nil
	}
	to := f.Kernel.On(evidence.FromTunnel).Src.Addr()
	v := diagnose.Verdict{Code: diagnose.ReturnRouteWrong, Checkpoint: probe.B7, Where: diagnose.WhereHere,
		Summary: fmt.Sprintf("%s comes back to this host, which routes it to %s, not into %s", from, w.Interface, f.Interface),
		Evidence: []evidence.Line{evidence.Kernel.Decides("netfilter trace: %s came in on %s and did not enter the tunnel",
			probe.Count(p.Packets, "reply packet"), p.In),
			evidence.Kernel.Decides("the route back: %s", w.Describe())}}
	if astray {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("%s", p.KernelDrop))
	}
	if p.Packets > 0 {
		to = p.Dst.Addr()
	}
	v.Fix = routeFix(w, f.Interface, f.routeInto(to))
	if own {
		v.Summary = fmt.Sprintf("%s is this host's own, and is routed to %s, not into %s", from, w.Interface, f.Interface)
		v.Evidence[0] = evidence.Kernel.Decides("netfilter trace: the request passes the input hook, and no reply entered the tunnel")
	}
	if w.Kind != evidence.RouteFound {
		v.Summary = fmt.Sprintf("this host has no route back to %s for %s: %s", to, from, w.Kind)
	}
	f.incomplete(&v)
	return final(v)
}

// neighborSilent: the request went on, and the next hop does not take it: B6. The kernel says so
// of the packet itself once it has asked in vain.
func (f facts) neighborSilent(time.Time) *ruling {
	p := f.Kernel.On(evidence.FromTunnel)
	n, failed := p.Route.Neighbor, p.KernelDrop.NextHopSilent()
	if f.Flow.Seen[probe.B4] == nil || f.Kernel.On(evidence.ToTunnel).Packets > 0 ||
		!failed && (p.Passed != "postrouting" || n == nil || !n.Unreachable) {
		return nil
	}
	var known []evidence.Line
	if p.Passed == "postrouting" {
		known = append(known, evidence.Kernel.Decides("netfilter trace: the packet to %s was forwarded out of %s%s",
			f.target(), p.Out, comma(p.Translated)))
	}
	if failed {
		known = append(known, evidence.Kernel.Decides("%s", p.KernelDrop))
	}
	v := diagnose.Verdict{Code: diagnose.NeighborUnreachable, Checkpoint: probe.B6, Where: diagnose.WhereBeyond}
	if n == nil || !n.Unreachable { // the table has forgotten it, or was not read
		link := cmp.Or(p.KernelDrop.Device, p.Out)
		v.Evidence = known
		v.Summary = fmt.Sprintf("the next hop to %s does not answer on %s: no host there has that address, or it is down", f.target(), link)
		v.Fix = fix.Steps{fix.Note("is it up, and on that link?"), fix.Check("ip route get %s", f.Flow.Target.Addr()),
			fix.Check("ip neighbour show dev %s", link)}
		return final(v)
	}
	v.Summary = fmt.Sprintf("%s does not answer on %s: no host there has that address, or it is down", n.Addr, n.Link)
	v.Evidence = append(known, evidence.Kernel.Decides("%s", n.Evidence))
	v.Fix = fix.Steps{fix.Note("is it up, and on that link?"), fix.Check("ip neighbour show %s dev %s", n.Addr, n.Link),
		fix.Note("if it is elsewhere:"), fix.Command("ip route add %s via GATEWAY dev LINK", hostPrefix(f.Flow.Target.Addr()))}
	return final(v)
}

// noAnswerBehind: the request went on, and nothing has come back: B6.
func (f facts) noAnswerBehind(now time.Time) *ruling {
	p := f.Kernel.On(evidence.FromTunnel)
	if f.Flow.Seen[probe.B4] == nil || p.Passed != "postrouting" || f.Kernel.On(evidence.ToTunnel).Packets > 0 {
		return nil
	}
	dst := f.Flow.Target.Addr()
	v := diagnose.Verdict{Code: diagnose.NoReplyFromDestination, Checkpoint: probe.B6, Where: diagnose.WhereBeyond,
		Summary: fmt.Sprintf("the packet to %s was forwarded out of %s, and nothing comes back", f.target(), p.Out),
		Evidence: []evidence.Line{
			evidence.Kernel.Says("netfilter trace: the packet to %s was forwarded out of %s%s", f.target(), p.Out, comma(p.Translated)),
			evidence.Inferred.Decides("no answer came back to this host")}}
	if p.Conntrack != nil {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("conntrack: %s", p.Conntrack.Text))
	}
	if p.Route.Neighbor != nil {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("%s", p.Route.Neighbor.Evidence))
	}
	src := p.Src.Addr()
	missing := diagnose.Maybe(diagnose.SNATMissing,
		"on %s, ip route get %s must lead back to this host; if it cannot, translate here: "+
			"nft add rule inet nat postrouting oifname %q ip%s saddr %s masquerade",
		dst, src, p.Out, six(src), src)
	down := diagnose.Maybe(diagnose.NoReplyFromDestination,
		"on %s, tcpdump -ni any host %s shows whether it arrives: its firewall, or nothing listens", dst, src)
	if p.Translated == "" && (p.Conntrack == nil || !p.Conntrack.SNAT) {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("it left with the tunnel's address %s for its source", src))
		v.Candidates = []diagnose.Candidate{missing, down}
	} else {
		v.Candidates = []diagnose.Candidate{down}
	}
	v.Fix = fix.Steps{fix.Notef("the destination knows; on %s:", dst),
		fix.Check("tcpdump -ni any host %s", dst).On(dst.String())}
	f.unanswered(&v, p)
	return &ruling{v, now.Sub(f.Since) > noReplyAfter && now.Sub(f.Flow.Seen[probe.B4].When()) > answerTime}
}

// elsewhere reports whether a link is not the tunnel.
func (f facts) elsewhere(link string) bool { return link != f.Interface }

// routeFix is what to add so that packets leave by a link, if that helps, or else takes away
// what decided.
func routeFix(r *evidence.RouteDecision, link string, add fix.Step) fix.Steps {
	if r.Local {
		return fix.Steps{fix.Note("it is this host's own address: give one of the two hosts another one")}
	}
	if r.Remove != "" && !r.Beatable && r.Kind != evidence.RouteNone {
		return diagnose.RemoveRoute(r, func(l string) bool { return l == link })
	}
	return fix.Steps{add}
}

// six is the digit that nft writes for IPv6.
func six(a netip.Addr) string {
	if a.Is6() {
		return "6"
	}
	return ""
}

func comma(s string) string {
	if s == "" {
		return ""
	}
	return ", " + s
}
