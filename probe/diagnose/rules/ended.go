package rules

import (
	"slices"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// Ended reports whether the facts have the end of the packet that a verdict is about, so that
// nothing which has yet to happen says more of it: the verdict is certain, and this host's kernel
// has dropped the packet where the verdict says, or the tunnel has dropped it, or the probe is over.
// Other verdicts may rest on what a packet will meet, or on what others say of it, who may say more.
func Ended(f *diagnose.Facts, v *diagnose.Verdict) bool {
	if !v.Certain || v.Healthy() || f.Flow == nil {
		return false
	}
	if f.Flow.Dropped != nil || f.Flow.Probe.Sent && f.Flow.Probe.Done {
		return true
	}
	dropped := func(k *evidence.KernelEvidence) bool {
		return slices.ContainsFunc(upTo[v.Checkpoint], func(s evidence.Segment) bool {
			t := k.On(s)
			return t.Drop != nil || t.KernelDrop != nil && !t.KernelDrop.Hint
		})
	}
	return dropped(f.Kernel) || f.Onward != nil && dropped(f.Onward.Kernel)
}

// upTo are the parts of the path on this host that a packet passes to get to a checkpoint, from
// the one before.
var upTo = map[probe.Checkpoint][]evidence.Segment{
	probe.A1: {evidence.ToTunnel},
	probe.A2: {evidence.ToWire},
	probe.A3: {evidence.FromWire},
	probe.A4: {evidence.ToWire},
	probe.A5: {evidence.FromWire},
	probe.A6: {evidence.FromTunnel},
	probe.B2: {evidence.FromWire, evidence.ToWire},
	probe.B3: {evidence.FromWire},
	probe.B5: {evidence.FromTunnel},
	probe.B6: {evidence.FromTunnel},
	probe.B7: {evidence.FromTunnel, evidence.ToTunnel},
	probe.B8: {evidence.ToWire},
}
