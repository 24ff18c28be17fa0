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
			diagnose.Maybe(diagnose.BPFDrop, "bpftool cgroup tree: does a program of a control group refuse to send?")}
		v.Fix = fix.Steps{fix.Check("ip xfrm policy")}
	}
	return v
}

// notPermitted is a verdict on packets on a segment that the kernel refuses to send with
// EPERM. Several parts of it do; how far netfilter has seen them come tells them apart. v has
// the code of a firewall there. What the kernel tells of its drops has rules of its own.
func (f facts) notPermitted(v diagnose.Verdict, on evidence.Segment, known []evidence.XfrmBlock) diagnose.Verdict {
	cgroup := diagnose.Maybe(diagnose.BPFDrop, "bpftool cgroup tree: does a program of the sender's control group refuse to send?")
	p := f.Kernel.On(on)
	switch {
	case f.traced() && p.Packets == 0 && len(known) == 0: // the policies of IPsec have been read
		firewall := v.Code
		v = refusal(v, nil, "output")
		v.Code = diagnose.BPFDrop
		v.Candidates = []diagnose.Candidate{cgroup, diagnose.Maybe(firewall, "ip xfrm policy: does a policy of IPsec block it?")}
		v.Fix = fix.Steps{fix.Check("bpftool cgroup tree"), fix.Check("ip xfrm policy")}
		return v
	case f.traced() && p.Packets == 0:
		return refusal(v, known, "output")
	case f.traced() && p.Passed == "postrouting":
		v.Candidates = append([]diagnose.Candidate{cgroup}, outgoing(v.Code)...)
		v.Code = diagnose.BPFDrop
		v.Evidence = append(v.Evidence,
			evidence.Kernel.Decides("netfilter trace: such packets pass the postrouting hook: no rule has dropped them"),
			evidence.Inferred.Decides("what refuses with that error behind that hook is usually a BPF program of the sender's control group"))
		v.Fix = fix.Steps{fix.Note("look for a program at egress:"), fix.Check("bpftool cgroup tree")}
		return v
	case f.traced() && p.Lost != "":
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("netfilter trace: seen last in the %s hook, and no rule that is traced "+
			"has dropped it", p.Lost))
	}
	v.Evidence = append(v.Evidence, evidence.Inferred.Decides("rules in the output and postrouting hooks refuse like that, and "+
		"BPF programs of the sender's control group"))
	v.Candidates = append(outgoing(v.Code), cgroup)
	v.Fix = fix.Steps{fix.Note("find what drops it:"), fix.Check("nft list ruleset"),
		fix.Check("iptables-legacy-save -c; ip6tables-legacy-save -c"),
		fix.Check("bpftool cgroup tree")}
	return v
}

// outgoing are the rules that may drop what this host sends, as candidates.
func outgoing(firewall diagnose.Code) []diagnose.Candidate {
	return []diagnose.Candidate{
		diagnose.Maybe(firewall, "nft list ruleset: is there a drop or reject in the output or postrouting hook?"),
		diagnose.Maybe(firewall, "iptables-legacy-save -c; ip6tables-legacy-save -c: does the count of a rule in OUTPUT or POSTROUTING rise?")}
}

// blind adds to a verdict that is not certain what could not be seen, and what was counted.
func (f facts) blind(v *diagnose.Verdict) {
	if f.Kernel == nil {
		return
	}
	if f.Kernel.Blind != "" {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("what netfilter does here is not known: %s", f.Kernel.Blind))
	}
	for s := range evidence.FromTunnel + 1 {
		if hint := f.Kernel.On(s).Hinted(v.Healthy()); hint != "" {
			v.Evidence = append(v.Evidence, evidence.Kernel.Says("%s", hint))
		}
	}
	if !v.Healthy() {
		f.mayDrop(v)
	}
	v.Evidence = append(v.Evidence, f.counted()...)
	v.Evidence = append(v.Evidence, evidence.Kernel.Each(f.Kernel.Missed())...)
}
