package rules

import (
	"fmt"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file judges by a TTL that a rule of this host has lowered.

// expires reports whether a packet whose TTL was lowered goes no further than to the first
// router, so that nothing else need be wrong.
func expires(l *evidence.Lowered) bool { return l != nil && l.To <= 1 }

// loweredTTL is the verdict on packets that a rule of this host gives too low a TTL. seen are
// the lines that show that they go no further.
func loweredTTL(l *evidence.Lowered, at probe.Checkpoint, what string, seen ...evidence.Line) diagnose.Verdict {
	by, spare := "rule: "+l.By, fix.Commands(l.Spare...)
	if l.By == "" {
		by = "the rule is not known"
		spare = fix.Steps{fix.Note("look for the rule that sets the TTL, or the hop limit"), fix.Check("nft list ruleset")}
	}
	v := diagnose.Verdict{Code: diagnose.TTLExceeded, Checkpoint: at, Where: diagnose.WhereHere,
		Summary: fmt.Sprintf("a rule of this host sets the TTL of %s to %d, so that the next router drops them", what, l.To),
		Evidence: append(seen, evidence.Kernel.Decides("netfilter trace: their TTL was %d, and is %d", l.From, l.To),
			evidence.Kernel.Says("%s", by)),
		Fix: spare}
	if !expires(l) {
		v.Summary = fmt.Sprintf("a rule of this host lowers the TTL of %s to %d, and they go no further than to a router that drops them",
			what, l.To)
		v.Evidence = append(v.Evidence, evidence.Inferred.Decides("without the rule they might have come further"))
		v.Candidates = []diagnose.Candidate{
			diagnose.Maybe(diagnose.TTLExceeded, "without that rule, does it get there?"),
			diagnose.Maybe(diagnose.TTLExceeded, "does the next hop send it back?")}
	}
	return v
}

// onwardTTL: this host's kernel drops the packet in place of passing it on, since a rule has
// lowered its TTL.
func (f facts) onwardTTL(p *evidence.Traversal, what string) *ruling {
	if d := p.KernelDrop; d != nil && d.Reason != "IP_INHDR" && (otherwise(p) || d.OfRouting()) {
		return nil // the kernel says that it was something else
	}
	confirmed := confirms(p, "IP_INHDR") // what became of it the trace may not know yet
	if !expires(p.Lowered) || p.Lost == "" && confirmed == nil || p.Route.Kind != evidence.RouteFound || p.Route.Local {
		return nil
	}
	if p.Lost != "" {
		confirmed = append(confirmed, evidence.Kernel.Decides("netfilter trace: they are seen last in the %s hook", p.Lost))
	}
	v := loweredTTL(p.Lowered, probe.B5, what, confirmed...)
	v.Summary = fmt.Sprintf("a rule of this host sets the TTL of %s to %d, so that this host does not pass them on", what, p.Lowered.To)
	return final(v)
}

// lowered is what a rule of this host did to the TTL of the request; nil if nothing.
func (f facts) lowered() *evidence.Lowered {
	if f.Side == probe.SideB {
		return f.Kernel.On(evidence.FromTunnel).Lowered
	}
	return f.Kernel.On(evidence.ToTunnel).Lowered
}

// timeExceeded reports whether an ICMP error outside of the tunnel says that the TTL has run
// out. Type 3 of IPv4 has another reason than that of an error that nothing else is known of.
func timeExceeded(e *probe.Event) bool {
	const ipv4, ipv6 = 11, 3
	typ, code, ok := e.ICMP()
	return ok && e.Reason == probe.ICMPOther && code == 0 && (typ == ipv4 || typ == ipv6)
}
