package rules

import (
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

var (
	tcHere = evidence.Hook{Kind: evidence.HookTCEgress, Device: "eth0", Text: "tcx program x (id 7)", Show: "bpftool net show",
		Remove: "bpftool link detach id 8"}
	tcThere = evidence.Hook{Kind: evidence.HookTCEgress, Device: "eth9", Text: "tcx program elsewhere", Show: "bpftool net show"}
	oldRule = evidence.Hook{Kind: evidence.HookLegacy, Family: "ip", Text: "rules of legacy iptables in table ip filter",
		Show: "iptables-legacy-save -c"}
	full = evidence.Hook{Kind: evidence.HookConntrack, Text: "the full connection tracking table: 4 of 4", Show: "conntrack -S"}
)

// with has what is attached beside what was seen.
func (s *story) with(hooks ...evidence.Hook) *story {
	s.Kernel.Hooks = hooks
	return s
}

// A drop that is proven names who is there and may have done it, and no other; where two may
// have, it is not certain.
func TestAttached(t *testing.T) {
	for _, test := range []struct {
		name  string
		s     *story
		sure  bool
		says  []string
		never string
	}{
		{"tc", tell(probe.SideA).kernel(evidence.ToTunnel, dropped("TC_EGRESS", "__dev_queue_xmit")).with(tcHere, tcThere, oldRule, full), true,
			[]string{"on the packet's path: tcx program x (id 7)", "remove it: bpftool link detach id 8"}, "elsewhere"},
		{"legacy", tell(probe.SideA).kernel(evidence.ToTunnel, dropped("NETFILTER_DROP", "nf_hook_slow")).with(tcHere, oldRule), true,
			[]string{"on the packet's path: rules of legacy iptables in table ip filter"}, "tcx"},
		{"legacy, or a full table", tell(probe.SideA).kernel(evidence.ToTunnel, dropped("NETFILTER_DROP", "nf_hook_slow")).with(oldRule, full),
			false, []string{"4 of 4", "does not say which"}, "tcx"},
	} {
		v, _ := test.s.judge()
		all := strings.Join(slices.Concat([]string{v.Summary}, evidence.Texts(v.Evidence), v.Fix.Lines()), "\n")
		if v.Certain != test.sure || strings.Contains(all, test.never) {
			t.Errorf("%s: certain %v:\n%s", test.name, v.Certain, all)
		}
		for _, says := range test.says {
			if !strings.Contains(all, says) {
				t.Errorf("%s: %q is not said in\n%s", test.name, says, all)
			}
		}
	}
}

// What may drop a packet is a candidate where the kernel could not be asked what it drops,
// and not where it has dropped nothing.
func TestMayDrop(t *testing.T) {
	for _, blind := range []string{"", "CAP_BPF is missing"} {
		s := tell(probe.SideA).kernel(evidence.ToWire, evidence.Traversal{Packets: 1}).with(tcHere, tcThere)
		s.Kernel.DropsBlind = blind
		v, _ := s.judge()
		named := slices.ContainsFunc(v.Candidates, func(c diagnose.Candidate) bool {
			return c.Code == diagnose.BPFDrop && strings.Contains(c.Check, "tcx program x (id 7) may drop it: bpftool net show")
		})
		if named != (blind != "") || v.Certain {
			t.Errorf("blind %q: certain %v: %s: %v", blind, v.Certain, v.Code, v.Candidates)
		}
		if slices.ContainsFunc(v.Candidates, func(c diagnose.Candidate) bool { return strings.Contains(c.Check, "elsewhere") }) {
			t.Errorf("a program that is not on the way: %v", v.Candidates)
		}
	}
}
