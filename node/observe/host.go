//go:build linux

package observe

import (
	"context"
	"slices"

	"github.com/wgnode/wgnode/probe/evidence"
)

// registered are the sources of this host's kernel beside netfilter. A policy that
// watches the kernel hears all of them; what one cannot see does not keep a verdict
// from being given.
var registered = []func() Source{newCounters, newKernelDrops, newRefusing, newListing, newInitiations}

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
		k.Counters, k.Hooks = s.evidence.Counters, s.evidence.Hooks // those go on
	}
	s.evidence = k
	s.limits, s.sources = nil, nil
	for _, src := range s.kernel {
		if err := s.Start(ctx, src, sel); err != nil {
			s.limits = append(s.limits, err.Error())
			if _, ok := src.(*kernelDrops); ok {
				k.DropsBlind = err.Error()
			}
		} else {
			s.sources = append(s.sources, src)
		}
	}
	// The trace comes last: what it shows the others have seen as well.
	if err := s.Start(ctx, s.netfilter, sel); err != nil {
		k.Blind = err.Error()
	} else {
		s.limits = append(s.limits, s.netfilter.Unseen()...)
	}
	s.count()
	return k
}

// count notes what was missed up to now: how many events of netfilter's trace were lost,
// and what the other sources say.
func (s *Session) count() {
	if s.evidence == nil {
		return
	}
	s.evidence.Lost = s.netfilter.Lost()
	s.evidence.Limits = slices.Clone(s.limits)
	for _, src := range s.sources {
		s.evidence.Limits = append(s.evidence.Limits, src.Unseen()...)
		if d, ok := src.(*kernelDrops); ok {
			s.evidence.DropsMissed = d.Missed()
		}
	}
}
