package rules

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// A counter proves nothing alone: it is said beside what is not certain. It confirms what
// is known to refuse the packets if it has counted exactly as many.
func TestCounted(t *testing.T) {
	noPolicy := func(n uint64) evidence.Counter {
		return evidence.Counter{Name: "XfrmInNoPols", Before: 5, After: 5 + n}
	}
	block := []evidence.XfrmBlock{{Text: "IPsec policy: none selects them", Fix: "ip xfrm policy setdefault in accept"}}
	answers := func(blocks ...evidence.XfrmBlock) *story {
		return tell(probe.SideA).calls().after(5*time.Second).calls().
			kernel(evidence.FromWire, evidence.Traversal{Packets: 2, Passed: "input", XfrmBlocks: blocks})
	}
	for _, c := range []struct {
		name     string
		s        *story
		counters []evidence.Counter
		code     diagnose.Code
		at       probe.Checkpoint
		sure     bool
		says     []string // in evidence or fix
	}{
		{name: "nothing", s: answers(), code: diagnose.NoResponse, at: probe.A3},
		{name: "as many", s: answers(block...), counters: []evidence.Counter{noPolicy(2)},
			code: diagnose.UnderlayInputFirewall, at: probe.A3, sure: true,
			says: []string{"as many as were followed: XfrmInNoPols: 2 (from 5 to 7)", "ip xfrm policy setdefault in accept"}},
		{name: "as many, and nothing is known to refuse them", s: answers(), counters: []evidence.Counter{noPolicy(2)},
			code: diagnose.NoResponse, at: probe.A3, says: []string{"meanwhile, of all packets: XfrmInNoPols: 2 (from 5 to 7)"}},
		{name: "more", s: answers(), counters: []evidence.Counter{noPolicy(3)}, code: diagnose.NoResponse, at: probe.A3,
			says: []string{"the kernel counted meanwhile, of all packets: XfrmInNoPols: 3 (from 5 to 8)"}},
		{name: "not of IPsec", s: answers(), counters: []evidence.Counter{{Name: "UdpRcvbufErrors", After: 2}},
			code: diagnose.NoResponse, at: probe.A3, says: []string{"UdpRcvbufErrors: 2 (from 0 to 2)"}},
		{name: "forwarded", s: tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, evidence.Traversal{
			Packets: 2, Lost: "prerouting", In: "wg0", XfrmBlocks: block,
			Route:      evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "lan0"},
			Forwarding: &evidence.Forwarding{On: true}}),
			counters: []evidence.Counter{noPolicy(2)}, code: diagnose.ForwardFirewall, at: probe.B5, sure: true,
			says: []string{"as many as were followed: XfrmInNoPols: 2"}},
	} {
		c.s.Kernel.Counters = c.counters
		v, _ := c.s.judge()
		if v.Code != c.code || v.Checkpoint != c.at || v.Certain != c.sure {
			t.Errorf("%s: %s at %s, certain %v; want %s at %s, %v", c.name, v.Code, v.Checkpoint, v.Certain, c.code, c.at, c.sure)
		}
		text := strings.Join(slices.Concat(evidence.Texts(v.Evidence), v.Fix.Lines()), "\n")
		for _, want := range c.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in\n%s", c.name, want, text)
			}
		}
	}
}
