package rules

import (
	"fmt"
	"slices"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/harmless"
)

// This file names what is on the way of packets and may drop them: by itself that proves
// nothing; beside the kernel's word it says who it was.

// hooksNamed is how many are named at most.
const hooksNamed = 4

// hookKinds are what may have dropped a packet for a reason, or for a reason at a place.
var hookKinds = map[string][]evidence.HookKind{
	"TC_INGRESS": {evidence.HookTCIngress}, "TC_EGRESS": {evidence.HookTCEgress},
	"NOT_SPECIFIED veth_xdp_rcv_skb": {evidence.HookXDP}, "NOT_SPECIFIED do_xdp_generic": {evidence.HookXDP},
	"NOT_SPECIFIED generic_xdp_tx": {evidence.HookXDP},
	"BPF_CGROUP_EGRESS":            {evidence.HookCgroupEgress}, "SOCKET_FILTER": {evidence.HookCgroupIngress},
	"NETFILTER_DROP nf_hook_slow": {evidence.HookLegacy, evidence.HookNetfilter, evidence.HookConntrack},
	"NOT_SPECIFIED nf_queue":      {evidence.HookQueues}, "NOT_SPECIFIED __nf_queue": {evidence.HookQueues},
}

// suspects are the hooks that may have dropped a packet. Of cgroups those of this program are
// meant, where it is its packet.
func (f facts) suspects(on evidence.Segment, d *evidence.KernelDrop) []evidence.Hook {
	if f.Kernel == nil {
		return nil
	}
	kinds := append(slices.Clone(hookKinds[d.Reason]), hookKinds[d.Reason+" "+d.Place]...)
	family := map[bool]string{true: "ip", false: "ip6"}[d.Src.Addr().Is4()]
	var found, own []evidence.Hook
	for _, h := range f.Kernel.Hooks {
		if !slices.Contains(kinds, h.Kind) || h.Device != "" && d.Device != "" && h.Device != d.Device ||
			h.Family != "" && h.Family != family {
			continue
		}
		if found = append(found, h); h.Own {
			own = append(own, h)
		}
	}
	if len(own) > 0 && (on == evidence.ToWire || on == evidence.FromWire || f.Flow != nil && f.Flow.Probe.Sent && !f.Flow.Probe.As) {
		return own
	}
	return found
}

// attached adds to a verdict about a drop who may have done it, and how to see and remove
// that. Where the connection tracking table is full either that or a rule may have dropped it.
func (f facts) attached(v *diagnose.Verdict, on evidence.Segment, d *evidence.KernelDrop) {
	full := false
	for i, h := range f.suspects(on, d) {
		if i == hooksNamed {
			v.Evidence = append(v.Evidence, evidence.Kernel.Says("there are more of that kind"))
			break
		}
		full = full || h.Kind == evidence.HookConntrack
		if h.Kind == evidence.HookQueues {
			v.Evidence = append(v.Evidence, evidence.Kernel.Says("%s", h.Text))
			continue
		}
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("on the packet's path: %s", h.Text))
		v.Fix = append(v.Fix, fix.Check("%s", harmless.Raw(harmless.Line(h.Show))))
		if h.Remove != "" {
			v.Fix = append(v.Fix, fix.Note("if nothing else needs it, remove it: "+harmless.Line(h.Remove)))
		}
	}
	if full {
		v.Evidence = append(v.Evidence,
			evidence.Inferred.Decides("a rule has dropped it, or the full connection tracking table: the kernel does not say which"))
		v.Candidates = append(v.Candidates,
			diagnose.Maybe(v.Code, "conntrack -S: does drop rise? Then the table is full: raise net.netfilter.nf_conntrack_max"),
			diagnose.Maybe(v.Code, "iptables-legacy-save -c: which counter rises?"))
	}
}

// mayDrop adds to a verdict that is not certain, as candidates, the BPF programs and filters
// on the packet's way, where the kernel's own account of what it drops could not be had.
func (f facts) mayDrop(v *diagnose.Verdict) {
	if f.Kernel.DropsBlind == "" {
		return // they have dropped nothing
	}
	on := []string{f.Interface}
	if f.Peer != nil {
		on = append(on, f.Peer.Route.Interface)
	}
	for s := range evidence.FromTunnel + 1 {
		on = append(on, f.Kernel.On(s).In, f.Kernel.On(s).Out)
	}
	named := 0
	for _, h := range f.Kernel.Hooks {
		switch h.Kind {
		case evidence.HookXDP, evidence.HookTCIngress, evidence.HookTCEgress:
			if !slices.Contains(on, h.Device) {
				continue
			}
		case evidence.HookNetfilter:
		default:
			continue
		}
		if named++; named > hooksNamed {
			return
		}
		v.Candidates = append(v.Candidates, diagnose.Candidate{Code: diagnose.BPFDrop,
			Check: fmt.Sprintf("%s may drop it: %s", h.Text, harmless.Line(h.Show))})
	}
}
