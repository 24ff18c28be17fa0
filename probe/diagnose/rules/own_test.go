package rules

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// enters is the request as it enters the tunnel on a host that passes it on, to a peer or
// to none.
func (s *story) enters(to probe.PeerID, why probe.Reason) *story {
	e := probe.Event{Kind: probe.KindInner, Seam: probe.SeamTUNRead, Checkpoint: probe.A1, Proto: probe.ProtoTCP, Info: probe.TCPSyn,
		Reason:   why,
		InnerSrc: probe.AddrFrom(here.Addr()), InnerSrcPort: here.Port(), InnerDst: probe.AddrFrom(target.Addr()), InnerDstPort: target.Port(),
		Peer: to, Time: s.at.UnixNano() + 1}
	s.c.Add(&e)
	return s
}

// What the node itself did to the packet outranks every answer, also one in the name of
// the destination, and a packet that goes back to its sender is not a martian's drop.
func TestOwnDoingOutranksAnswers(t *testing.T) {
	asks := func() *story {
		return tell(probe.SideB).called().inner(probe.B4, probe.SeamTUNWrite, here, target, probe.TCPSyn)
	}
	answer := func(s *story) *story { return s.icmpBack(target.Addr().String(), 3, 1) }
	onward := func(s *story) *story {
		on := *s.Facts
		on.Side, on.Peer = probe.SideA, &diagnose.Peer{Key: ourKey, Name: "spoke"}
		s.Onward = &on
		return s
	}
	for _, c := range []struct {
		name string
		s    *story
		code diagnose.Code
		at   probe.Checkpoint
		says string
	}{
		{name: "no AllowedIPs for the spoke", s: asks().enters(0, probe.NoAllowedIPsMatch), code: diagnose.NoAllowedIPsMatch, at: probe.A1,
			says: "in no peer's AllowedIPs"},
		{name: "no AllowedIPs for the spoke, and an answer", s: answer(asks().enters(0, probe.NoAllowedIPsMatch)),
			code: diagnose.NoAllowedIPsMatch, at: probe.A1, says: "in no peer's AllowedIPs"},
		{name: "no endpoint for the spoke, and an answer", s: onward(answer(asks().enters(2, probe.NoEndpoint))), code: diagnose.NoEndpoint,
			at: probe.A2, says: "spoke has no endpoint"},
		{name: "dropped before it was mended", s: answer(asks().enters(0, probe.NoAllowedIPsMatch).after(1e6).enters(2, probe.ReasonNone)),
			code: diagnose.NeighborUnreachable, at: probe.B6, says: "host unreachable"},
		{name: "an answer alone", s: answer(asks()), code: diagnose.NeighborUnreachable, at: probe.B6, says: "host unreachable"},
		{name: "sent back", s: asks().enters(bob, probe.ReasonNone), code: diagnose.NoRouteOnward, at: probe.B5, says: "back to bob"},
		{name: "comes back", s: tell(probe.SideA).connects().asks().inner(probe.B4, probe.SeamTUNWrite, here, target, probe.TCPSyn),
			code: diagnose.NoRouteOnward, at: probe.B5, says: "back to this host"},
		{name: "no endpoint, and an answer", s: noEndpoint(tell(probe.SideA)).innerICMP(target.Addr().String(), 3, 1), code: diagnose.NoEndpoint,
			at: probe.A2, says: "bob has no endpoint"},
	} {
		v, _ := c.s.judge()
		if v.Code != c.code || v.Checkpoint != c.at || !strings.Contains(v.Summary, c.says) {
			t.Errorf("%s: %s at %s: %s", c.name, v.Code, v.Checkpoint, v.Summary)
		}
		if strings.Contains(strings.Join(v.Fix.Lines(), "\n"), "table local") {
			t.Errorf("%s: %v", c.name, v.Fix.Lines())
		}
		ladder := c.s.Ladder(&v, now)
		fails := 0
		for _, r := range ladder {
			if r.Status == diagnose.Fail && r.Checkpoint == c.at {
				fails++
			}
		}
		if c.at.Side() == c.s.Side && fails != 1 || c.s.Side == probe.SideB && fails != 1 {
			t.Errorf("%s: %d rungs fail at %s: %+v", c.name, fails, c.at, ladder)
		}
	}
}

// noEndpoint has the peer lose its endpoint, and the request dropped for it.
func noEndpoint(s *story) *story {
	s.Peer.Endpoint, s.Peer.Written = netip.AddrPort{}, ""
	return s.enters(bob, probe.NoEndpoint)
}

// icmpBack is an ICMP error about the request that enters the tunnel on the side that is
// called.
func (s *story) icmpBack(from string, typ uint8, code uint16) *story {
	return s.add(probe.Event{Kind: probe.KindInner, Seam: probe.SeamTUNRead, Checkpoint: probe.B7, Proto: probe.ProtoICMP, Info: typ,
		InnerSrc: probe.AddrFrom(netip.MustParseAddr(from)), InnerDst: probe.AddrFrom(here.Addr()), InnerSrcPort: code,
		InnerDstPort: target.Port()})
}

// Whose word a host unreachable is depends on who says so, how soon, and with which reason:
// a silent neighbor takes time, a WireGuard on the way does not, and a wgnode says which.
func TestWhoseWord(t *testing.T) {
	asked := func(later time.Duration) *story { return tell(probe.SideA).connects().asks().after(later) }
	says := func(s *story, why probe.Reason) *story {
		e := probe.Event{Kind: probe.KindInner, Seam: probe.SeamTUNWrite, Checkpoint: probe.A6, Proto: probe.ProtoICMP, Info: 3, InnerSrcPort: 1,
			InnerSrc: probe.AddrFrom(netip.MustParseAddr("10.0.0.2")), InnerDst: probe.AddrFrom(here.Addr())}
		e.Quote(probe.ProtoTCP, here.Port(), target)
		e.SetNodeSays(why)
		return s.add(e)
	}
	for _, c := range []struct {
		name string
		s    *story
		code diagnose.Code
		at   probe.Checkpoint
		sure bool
		says string
	}{
		{name: "at once", s: asked(0).innerICMP("10.0.0.2", 3, 1), code: diagnose.NeighborUnreachable, at: probe.B6, says: "sooner than"},
		{name: "after three requests", s: asked(3*time.Second).innerICMP("10.0.0.2", 3, 1), code: diagnose.NeighborUnreachable, at: probe.B6,
			sure: true},
		{name: "of itself", s: asked(3*time.Second).innerICMP(target.Addr().String(), 3, 1), code: diagnose.NeighborUnreachable, at: probe.B6,
			says: "cannot say of itself"},
		{name: "a node without a peer", s: says(asked(0), probe.NoAllowedIPsMatch), code: diagnose.NoAllowedIPsMatch, at: probe.B5, sure: true,
			says: "10.0.0.2 routes"},
		{name: "a node without an endpoint", s: says(asked(0), probe.NoEndpoint), code: diagnose.NoEndpoint, at: probe.B5, sure: true,
			says: "10.0.0.2 has no endpoint"},
		{name: "a node of another version", s: says(asked(0), probe.Reason(99)), code: diagnose.NeighborUnreachable, at: probe.B6,
			says: "sooner than"},
	} {
		v, _ := c.s.judge()
		text := v.Summary + "\n" + strings.Join(evidence.Texts(v.Evidence), "\n")
		if v.Code != c.code || v.Checkpoint != c.at || v.Certain != c.sure || !strings.Contains(text, c.says) {
			t.Errorf("%s: %s at %s, certain %v: %s", c.name, v.Code, v.Checkpoint, v.Certain, text)
		}
		if !c.sure && len(v.Candidates) != 3 {
			t.Errorf("%s: candidates %+v", c.name, v.Candidates)
		}
	}
}

// A ladder of the called side stands also beside a verdict of the other host.
func TestLadderBesideAnothersVerdict(t *testing.T) {
	s := tell(probe.SideB).called().inner(probe.B4, probe.SeamTUNWrite, here, target, probe.TCPSyn)
	for code, at := range map[diagnose.Code]probe.Checkpoint{diagnose.PSKMismatch: probe.A3, diagnose.NoAllowedIPsMatch: probe.A1} {
		for _, r := range s.Ladder(&diagnose.Verdict{Code: code, Checkpoint: at}, now) {
			if r.Checkpoint.Side() != probe.SideB {
				t.Errorf("%s: rung %s", code, r.Checkpoint)
			}
		}
	}
}

// rejected is a port said to be unreachable, with what the error quotes.
func (s *story) rejected(from string, proto uint8) *story {
	e := innerError(from, 3, 3)
	e.Quote(proto, here.Port(), target)
	return s.add(e)
}

func innerError(from string, typ uint8, code uint16) probe.Event {
	return probe.Event{Kind: probe.KindInner, Seam: probe.SeamTUNWrite, Checkpoint: probe.A6, Proto: probe.ProtoICMP, Info: typ,
		InnerSrc: probe.AddrFrom(netip.MustParseAddr(from)), InnerDst: probe.AddrFrom(here.Addr()), InnerSrcPort: code,
		InnerDstPort: target.Port()}
}

// What this host did to a request that it answered before it was watched is not known: more is
// said of the next one.
func TestAnsweredBeforeTheWatch(t *testing.T) {
	for name, c := range map[string]struct {
		watched time.Duration // before the answer
		settled bool
	}{"watched before": {time.Millisecond, true}, "watched later": {-time.Millisecond, false}} {
		s := tell(probe.SideB).comesIn().icmpBack("10.0.0.2", 3, 1)
		s.Flow.Probe.Sent = false
		s.Watched = s.Flow.Answer.When().Add(-c.watched)
		s.kernel(evidence.FromTunnel, evidence.Traversal{Packets: 1, Passed: "forward"})
		if v, settled := s.judge(); v.Code != diagnose.NeighborUnreachable || v.Certain || settled != c.settled {
			t.Errorf("%s: %s, certain %t, settled %t: %s", name, v.Code, v.Certain, settled, v.Summary)
		}
	}
}
