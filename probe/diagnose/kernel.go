package diagnose

import "github.com/wgnode/wgnode/probe/fix"

// traversal returns what was seen on a segment; nothing where nobody looked.
func (f *Facts) traversal(s Segment) *Traversal {
	if f.Kernel == nil {
		return &Traversal{}
	}
	return f.Kernel.On(s)
}

// traced reports whether packets are followed on their way through netfilter.
func (f *Facts) traced() bool { return f.Kernel != nil && f.Kernel.Blind == "" }

// refusal is a verdict for what says no before netfilter sees a packet: either what
// is known to, or what may.
func refusal(v Verdict, known []XfrmBlock, hook string) Verdict {
	v.Evidence = append(v.Evidence, "netfilter trace: no packet came as far as the "+hook+" hook, so that no rule has dropped it")
	v.Certain, v.Fix = len(known) > 0, nil
	for _, r := range known {
		v.Evidence = append(v.Evidence, r.Text)
		v.Fix = append(v.Fix, fix.Commands(r.Fix)...)
	}
	if !v.Certain {
		v.Candidates = []Candidate{
			{v.Code, "ip xfrm policy: does a policy of IPsec block it?"},
			{v.Code, "bpftool cgroup tree: does a program of a control group refuse to send?"}}
		v.Fix = fix.Steps{fix.Check("ip xfrm policy")}
	}
	return v
}

// blind adds to a verdict that is not certain what could not be seen.
func (f *Facts) blind(v *Verdict) {
	if f.Kernel == nil {
		return
	}
	if f.Kernel.Blind != "" {
		v.Evidence = append(v.Evidence, "what netfilter does here is not known: "+f.Kernel.Blind)
	}
	v.Evidence = append(v.Evidence, f.Kernel.Missed()...)
}
