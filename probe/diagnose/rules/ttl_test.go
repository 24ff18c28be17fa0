package rules

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// A TTL that a rule of this host has set to 1 is why the next router drops the packet; of one
// that is merely lower it is not known. Without a rule of ours it is others' matter.
func TestLoweredTTL(t *testing.T) {
	to := func(ttl int) evidence.Traversal {
		return evidence.Traversal{Lost: "prerouting", Forwarding: &evidence.Forwarding{On: true},
			Route:   evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "lan"},
			Lowered: &evidence.Lowered{From: 64, To: ttl, By: "handle 4: ip ttl set", Spare: []string{"nft insert rule x"}}}
	}
	early := to(1) // what became of it the kernel has told, and the trace not yet
	early.Lost, early.KernelDrop = "", &evidence.KernelDrop{Reason: "IP_INHDR", Place: "ip_forward", At: now, Count: 1}
	exceeded := func() *story { return tell(probe.SideA).connects().asks().innerICMP("10.0.0.2", 11, 0) }
	const ours = "a rule of this host"
	for _, c := range []struct {
		kernelCase
		where diagnose.Where
	}{
		{kernelCase{"to 1 here", exceeded().kernel(evidence.ToTunnel, to(1)), diagnose.TTLExceeded, probe.B5, true, ours}, diagnose.WhereHere},
		{kernelCase{"to 9 here", exceeded().kernel(evidence.ToTunnel, to(9)), diagnose.TTLExceeded, probe.B5, false, ours}, diagnose.WhereHere},
		{kernelCase{"not here", exceeded().kernel(evidence.ToTunnel, evidence.Traversal{Passed: "postrouting"}), diagnose.TTLExceeded,
			probe.B5, true, "goes in circles"}, diagnose.WhereBeyond},
		{kernelCase{"not forwarded", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, to(1)), diagnose.TTLExceeded, probe.B5, true, ours},
			diagnose.WhereHere},
		{kernelCase{"not forwarded, as the kernel says", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, early), diagnose.TTLExceeded,
			probe.B5, true, ours}, diagnose.WhereHere},
		{kernelCase{"to 9, and not forwarded", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, to(9)), diagnose.NoReplyFromDestination,
			probe.B7, false, ""}, diagnose.WhereHere},
	} {
		v, _ := c.s.judge()
		if v.Code != c.code || v.Checkpoint != c.at || v.Certain != c.sure || v.Where != c.where || !strings.Contains(v.Summary, c.says) {
			t.Errorf("%s: %s at %s, certain %v, where %s: %s", c.name, v.Code, v.Checkpoint, v.Certain, v.Where, v.Summary)
		}
		if v.Where == diagnose.WhereHere && v.Code == diagnose.TTLExceeded && v.Fix.Lines()[0] != "nft insert rule x" {
			t.Errorf("%s: %q", c.name, v.Fix.Lines())
		}
	}
}
