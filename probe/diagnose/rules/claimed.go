package rules

import (
	"fmt"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// This file is about what anybody could have sent: it is told, and decides nothing.

// claimed adds to a verdict what an ICMP error says that does not show that its sender
// has seen our message, as the cause to look for first.
func (f facts) claimed(v *diagnose.Verdict) {
	p := f.Peer
	if p.Claim == nil {
		return
	}
	from, _ := p.Claim.Outer()
	who, what := from.Addr().String(), icmpWords[p.Claim.Reason]
	v.Summary += fmt.Sprintf("; %s claims: %s", who, what)
	v.Evidence = append(v.Evidence, evidence.Claimed.Says("%s, the latest %s from %s, which does not quote our message",
		probe.Count(p.Claims, "ICMP error"), what, who))
	var first diagnose.Candidate
	switch p.Claim.Reason {
	case probe.ICMPPortUnreachable:
		first = diagnose.Maybe(diagnose.EndpointPortClosed, "on %s, wg show all listen-port must say %d", p.Label(), p.Endpoint.Port())
	case probe.ICMPProhibited:
		first = diagnose.Maybe(diagnose.EndpointProhibited, "on %s, nft list ruleset: does it reject UDP to %s?", who, p.Endpoint)
	case probe.ICMPHostUnreachable, probe.ICMPNetUnreachable:
		first = diagnose.Maybe(diagnose.EndpointUnreachable, "on %s, ip route get %s", who, p.Endpoint.Addr())
	default:
		return
	}
	v.Candidates = append([]diagnose.Candidate{first}, v.Candidates...)
}
