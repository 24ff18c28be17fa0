package observe

import (
	"context"

	"github.com/wgnode/wgnode/probe/evidence"
)

// registered are the sources of this host's kernel beside netfilter. A policy that
// watches the kernel hears all of them; what one cannot see does not keep a verdict
// from being given.
var registered = []func() Source{newCounters, newKernelDrops, newHiding, newInitiations}

// WatchKernel starts the sources of this host's kernel, or has them go on with
// another selection, until ctx ends. It returns evidence that holds nothing yet but
// what cannot be seen; it belongs to the caller. While the session runs it adds what
// the kernel counts, and how many events of the trace are lost.
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
	s.count()
	return k
}
