package rules

import (
	"fmt"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
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

// strangersTold bounds how many strangers are told of: one host can send in the name of
// thousands.
const strangersTold = 8

// knocked adds to a verdict who attempts handshakes that are refused: perhaps one of them
// is whom the flow would have come from.
func (f facts) knocked(v *diagnose.Verdict) {
	for i := range latest(f.Strangers) {
		s := &f.Strangers[len(f.Strangers)-1-i]
		code, what := knock(s)
		v.Evidence = append(v.Evidence, evidence.Claimed.Says("%s", what))
		check := fmt.Sprintf("on %s, wg show all public-key: is it %s? Then add it as a peer here", s.From.Addr(), s.Key)
		if code == diagnose.WrongPublicKey {
			check = fmt.Sprintf("on %s, wg show all peers must list %s for this host", s.From.Addr(), f.PublicKey)
		}
		if s.Filed != "" {
			check = fmt.Sprintf("%s has that key as %s: wgnode reload %s", f.Config, s.Filed, f.Interface)
		}
		v.Candidates = append(v.Candidates, diagnose.Candidate{Code: code, Check: check})
	}
}

// Strangers are findings about hosts that are no peers of the node that the facts are
// about, the latest first. Anybody can send what they send, so that it is no fault.
func Strangers(of *diagnose.Facts, all []diagnose.Stranger) []diagnose.Finding {
	var found []diagnose.Finding
	for i := range latest(all) {
		s := &all[len(all)-1-i]
		v := Stranger(of, s)
		_, what := knock(s)
		one := diagnose.Finding{Code: v.Code, Peer: s.Key, Summary: what + "; anybody could have sent that", Fix: v.Fix}
		if s.Filed != "" {
			one.Summary += fmt.Sprintf("; %s has that key as %s, and is not applied", of.Config, s.Filed)
			one.Fix = append(fix.Steps{fix.Note("apply the file as it is now:")}, facts{of}.apply()...)
		}
		found = append(found, one)
	}
	if more := len(all) - strangersTold; more > 0 {
		found[len(found)-1].Summary += fmt.Sprintf("; %d others did the like", more)
	}
	return found
}

func latest(all []diagnose.Stranger) int { return min(len(all), strangersTold) }

// knock says what a stranger has sent, and what it would be called if that is true.
func knock(s *diagnose.Stranger) (diagnose.Code, string) {
	n := probe.Count(s.Count, "initiation")
	switch {
	case s.Reason != probe.UnknownPeer:
		return diagnose.WrongPublicKey, fmt.Sprintf("%s from %s, made for another public key than this node's", n, s.From)
	case s.Key.IsZero():
		return diagnose.UnknownPeer, fmt.Sprintf("%s from %s, made without a private key", n, s.From)
	}
	return diagnose.UnknownPeer, fmt.Sprintf("%s from %s with the key %s, which is not a peer here", n, s.From, s.Key)
}
