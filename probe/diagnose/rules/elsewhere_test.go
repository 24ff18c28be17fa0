package rules

import (
	"strings"
	"syscall"
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

// A session from before the route was changed does not hide where it leads, once this host refuses
// messages; one that goes on all the same does.
func TestRouteOfAPeerWithASession(t *testing.T) {
	for _, test := range []struct {
		name  string
		route evidence.RouteDecision
		edit  func(s *story)
		want  diagnose.Code
	}{
		{"in the tunnel", evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "wg0"}, func(s *story) {
			s.icmp(probe.ICMPHostUnreachable, "198.51.100.1").Peer.ICMPHere = true
		}, diagnose.EndpointInTunnel},
		{"in the tunnel, a router", evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "wg0"}, func(s *story) {
			s.icmp(probe.ICMPHostUnreachable, "198.51.100.1")
		}, diagnose.EndpointUnreachable},
		{"in the tunnel, and works", evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "wg0"}, func(*story) {}, diagnose.Healthy},
		{"none", evidence.RouteDecision{Kind: evidence.RouteNone}, func(s *story) { s.Peer.SendErrno = syscall.ENETUNREACH },
			diagnose.EndpointNotRouted},
		{"none, and works", evidence.RouteDecision{Kind: evidence.RouteNone}, func(*story) {}, diagnose.Healthy},
	} {
		s := tell(probe.SideA).calls().connects()
		s.Flow, s.Peer.Route = nil, test.route
		test.edit(s)
		if v, _ := s.judge(); v.Code != test.want {
			t.Errorf("%s: %s, want %s: %s", test.name, v.Code, test.want, v.Summary)
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

// A packet whose source is refused, and not known, may be what a host sends by itself: of a peer it
// says nothing, and of a flow nothing that is certain. One whose source is known is not forgotten for it.
func TestDisallowedSourceNotKnown(t *testing.T) {
	unknown := func(s *story) *story {
		return s.add(probe.Event{Kind: probe.KindData, Seam: probe.SeamDevice, Checkpoint: probe.A5, Reason: probe.DisallowedSource})
	}
	for _, test := range []struct {
		name string
		s    *story
		flow bool
		want diagnose.Code
		sure bool
	}{
		{"of a peer", unknown(tell(probe.SideA).calls().connects()), false, diagnose.Healthy, true},
		{"of a flow", unknown(tell(probe.SideB).called()), true, diagnose.DisallowedSource, false},
		{"beside one that is known", unknown(tell(probe.SideA).calls().connects().refusedSource("10.9.9.9", 0)), false, diagnose.DisallowedSource,
			true},
	} {
		if !test.flow {
			test.s.Flow = nil
		}
		if v, _ := test.s.judge(); v.Code != test.want || v.Certain != test.sure {
			t.Errorf("%s: %s, certain %v: %s", test.name, v.Code, v.Certain, v.Summary)
		}
	}
}
