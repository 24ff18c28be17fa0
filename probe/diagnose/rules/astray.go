package rules

import (
	"fmt"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file judges answers that do not find their way back, though nothing drops them.

// notReversed: the request was translated as it left, and its answer is not translated back,
// because connection tracking does not know it: this host takes it for its own.
func (f facts) notReversed(p *evidence.Traversal, from string) *ruling {
	forth := f.Kernel.On(evidence.FromTunnel)
	if p.Untracked == nil || forth.Translated == "" || p.Translated != "" || p.Passed != "input" {
		return nil
	}
	v := diagnose.Verdict{Code: diagnose.ReturnFirewall, Checkpoint: probe.B7, Where: diagnose.WhereHere,
		Summary: fmt.Sprintf("%s comes back to this host and is not translated back: connection tracking does not know it (%s)",
			from, p.Untracked.State),
		Evidence: []evidence.Line{
			evidence.Kernel.Decides("netfilter trace: the packet to %s left translated: %s", f.target(), forth.Translated),
			evidence.Kernel.Decides("netfilter trace: %s came in on %s, to %s, and passed the input hook; ct state %s",
				probe.Count(p.Packets, "reply packet"), p.In, p.Dst, p.Untracked.State)},
		Fix: fix.Steps{fix.Note("why does connection tracking not know it?"), fix.Check("conntrack -L -d %s", f.Flow.Target.Addr()),
			fix.Check("sysctl net.netfilter.nf_conntrack_tcp_be_liberal")}}
	if p.Untracked.By != "" {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("rule: %s", p.Untracked.By))
		v.Fix = append(fix.Steps{fix.Note("have it tracked:")}, fix.Commands(p.Untracked.Spare...)...)
	}
	return final(v)
}

// unanswered turns the verdict on a request without an answer into one on its source, where
// this host does not answer for that on the link: whoever replies to an address of the link's
// network asks there for it.
func (f facts) unanswered(v *diagnose.Verdict, p *evidence.Traversal) {
	x := p.Proxy
	if x == nil || x.Answers || p.Translated != "" || p.Conntrack != nil && p.Conntrack.SNAT {
		return
	}
	v.Code, v.Where = diagnose.ProxyARPMissing, diagnose.WhereHere
	v.Summary = fmt.Sprintf("%s is an address of the network on %s, and this host does not answer for it there: no answer comes back",
		x.Addr, x.Link)
	v.Evidence = append(v.Evidence, evidence.Kernel.Says("who answers asks on %s for %s; whether this host replies: %s",
		x.Link, x.Addr, x.Evidence))
	for i := range v.Candidates {
		if v.Candidates[i].Code == diagnose.SNATMissing {
			v.Candidates[i].Code = diagnose.ProxyARPMissing
			v.Candidates[i].Check = fmt.Sprintf("tcpdump -ni %s arp or icmp6: are there requests for %s without an answer?", x.Link, x.Addr)
		}
	}
	v.Fix = append(fix.Steps{fix.Notef("answer for %s on %s:", x.Addr, x.Link)}, fix.Commands(x.Fix...)...)
}
