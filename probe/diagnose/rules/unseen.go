package rules

import (
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// traced reports whether packets are followed on their way through netfilter.
func (f facts) traced() bool { return f.Kernel != nil && f.Kernel.Blind == "" }

// refusal is a verdict for what says no before netfilter sees a packet: either what
// is known to, or what may.
func refusal(v diagnose.Verdict, known []evidence.XfrmBlock, hook string) diagnose.Verdict {
	where := evidence.Kernel
	if len(known) == 0 {
		where = evidence.Inferred // it is what is left
	}
	v.Evidence = append(v.Evidence, where.Decides("netfilter trace: no packet came as far as the %s hook, so that no "+
		"rule has dropped it", hook))
	v.Fix = nil
	for _, r := range known {
		v.Evidence = append(v.Evidence, evidence.Kernel.Decides("%s", r.Text))
		v.Fix = append(v.Fix, fix.Commands(r.Fix)...)
	}
	if len(known) == 0 {
		v.Candidates = []diagnose.Candidate{
			diagnose.Maybe(v.Code, "ip xfrm policy: does a policy of IPsec block it?"),
			diagnose.Maybe(v.Code, "bpftool cgroup tree: does a program of a control group refuse to send?")}
		v.Fix = fix.Steps{fix.Check("ip xfrm policy")}
	}
	return v
}

// blind adds to a verdict that is not certain what could not be seen, and what was counted.
func (f facts) blind(v *diagnose.Verdict) {
	if f.Kernel == nil {
		return
	}
	if f.Kernel.Blind != "" {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("what netfilter does here is not known: %s", f.Kernel.Blind))
	}
	v.Evidence = append(v.Evidence, f.counted()...)
	v.Evidence = append(v.Evidence, evidence.Kernel.Each(f.Kernel.Missed())...)
}
