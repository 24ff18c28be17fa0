package rules

import (
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// Answers that leave elsewhere are the same to explain and to doctor, whatever this host's own ICMP
// says of them; to doctor also where this host has called meanwhile.
func TestRepliesElsewhereOfAPeer(t *testing.T) {
	for _, side := range []probe.Side{probe.SideA, probe.SideB} {
		for _, flow := range []bool{true, false} {
			if flow && side == probe.SideA {
				continue
			}
			s := tell(side).called().after(5*time.Second).called().icmp(probe.ICMPHostUnreachable, "198.51.100.1")
			s.kernel(evidence.FromWire, evidence.Traversal{Passed: "input", In: "wan", Packets: 1, Whose: evidence.Authenticated})
			s.Peer.Route = evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "lan", Text: "203.0.113.2 dev lan"}
			if !flow {
				s.Flow = nil
			}
			v, _ := s.judge()
			const want = "arrive on wan, but replies would leave via lan"
			if v.Code != diagnose.ReplyLeavesElsewhere || !v.Certain || !strings.Contains(v.Summary, want) {
				t.Errorf("side %v, flow %v: %s, certain %v: %s", side, flow, v.Code, v.Certain, v.Summary)
			}
		}
	}
}

// What an address of this host's own says of a message is not a router's word.
func TestICMPOfThisHost(t *testing.T) {
	for _, here := range []bool{false, true} {
		s := tell(probe.SideA).calls().icmp(probe.ICMPHostUnreachable, "198.51.100.1")
		s.Peer.ICMPHere = here
		v, _ := s.judge()
		where := map[bool]diagnose.Where{false: diagnose.WherePath, true: diagnose.WhereHere}[here]
		if v.Code != diagnose.EndpointUnreachable || v.Where != where || strings.Contains(v.Summary, "198.51.100.1") == here {
			t.Errorf("here %v: %s at %s: %s", here, v.Code, v.Where, v.Summary)
		}
	}
}
