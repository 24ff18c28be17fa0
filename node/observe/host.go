package observe

import (
	"context"

	"github.com/wgnode/wgnode/probe/evidence"
)

// registered are the sources of this host's kernel beside netfilter. A policy that
// watches the kernel hears all of them; what one cannot see does not keep a verdict
// from being given.
var registered = []func() Source{newCounters}

// WatchKernel starts the sources of this host's kernel, or has them go on with
// another selection, until ctx ends. It returns evidence that holds nothing yet but
// what cannot be seen; it belongs to the caller. What the kernel counts is added to it while
// the session hands observations to a policy.
func (s *Session) WatchKernel(ctx context.Context, sel Selection) *evidence.KernelEvidence {
	if s.netfilter == nil {
		s.netfilter = newTracing()
		for _, source := range registered {
			s.kernel = append(s.kernel, source())
		}
	}
	k := new(evidence.KernelEvidence)
	if s.evidence != nil {
		k.Counters = s.evidence.Counters // those go on
	}
	s.evidence = k
	if err := s.Start(ctx, s.netfilter, sel); err != nil {
		k.Blind = err.Error()
	} else {
		k.Limits = s.netfilter.Unseen()
	}
	for _, src := range s.kernel {
		if err := s.Start(ctx, src, sel); err != nil {
			k.Limits = append(k.Limits, err.Error())
		} else {
			k.Limits = append(k.Limits, src.Unseen()...)
		}
	}
	return k
}

// Lost is how many events of netfilter's trace were lost up to now.
func (s *Session) Lost() uint64 {
	if s.netfilter == nil {
		return 0
	}
	return s.netfilter.Lost()
}
