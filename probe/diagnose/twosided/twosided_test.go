package twosided

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/fix/fixtest"
	"github.com/wgnode/wgnode/probe/key"
)

var now = time.Unix(1_700_000_000, 0)

// caller is a host whose packet has entered the tunnel, and whose initiations, one
// for each of ages, have had no answer.
func caller(ages ...time.Duration) *diagnose.Facts {
	endpoint, target := netip.MustParseAddrPort("203.0.113.2:51820"), netip.MustParseAddrPort("192.168.200.22:80")
	p := &diagnose.Peer{Key: key.Public{0xb0, 0xb}, Name: "bob", Endpoint: endpoint, Written: endpoint.String(),
		Route: evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth0"}}
	f := &diagnose.Facts{Interface: "wg0", PublicKey: key.Public{0x0a}, Side: probe.SideA, Peer: p,
		Flow: &diagnose.Flow{Target: target, Route: evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "wg0"},
			Probe: diagnose.Probe{Sent: true}}}
	c := collect.Collector{Peers: map[probe.PeerID]*diagnose.Peer{1: p}, Flow: f.Flow}
	c.Add(&probe.Event{Kind: probe.KindInner, Seam: probe.SeamTUNRead, Checkpoint: probe.A1, Proto: probe.ProtoTCP, Info: probe.TCPSyn,
		InnerDst: probe.AddrFrom(target.Addr()), InnerDstPort: target.Port(), Peer: 1, Time: now.Add(-ages[0]).UnixNano()})
	for _, age := range ages {
		c.Add(&probe.Event{Kind: probe.KindInitiation, Seam: probe.SeamUDPSend, Checkpoint: probe.A2, OuterLen: 148, Peer: 1,
			Time: now.Add(-age).UnixNano()})
	}
	return f
}

// called is a host that has seen nothing but what its kernel did.
func called(k *evidence.KernelEvidence) *diagnose.Facts {
	return &diagnose.Facts{Interface: "wg0", PublicKey: key.Public{0x0b}, Side: probe.SideB, Kernel: k, Peer: &diagnose.Peer{Name: "alice"},
		Flow: &diagnose.Flow{Target: netip.MustParseAddrPort("192.168.200.22:80")}}
}

// The fixes of verdicts from both ends name the host. They are a public contract.
func TestFixes(t *testing.T) {
	unanswered := func() *diagnose.Facts { return caller(8*time.Second, 3*time.Second) }
	drops := &evidence.KernelEvidence{FromWire: evidence.Traversal{Packets: 1, Drop: &evidence.Drop{Hook: "input", Chain: "inet filter input",
		Rule: "inet filter input handle 7: drop", Fix: []string{"nft insert rule ..."}}}}
	fixes := make(fixtest.Fixes)
	for _, c := range []struct {
		name string
		f    *Facts
	}{
		{name: "one side alone", f: &Facts{A: unanswered()}},
		{name: "lost on the path", f: &Facts{A: unanswered(), B: &diagnose.Facts{PublicKey: key.Public{0x0b},
			ListenPort: 51820}, Calls: Way{Sent: 2, Lost: 2}}},
		{name: "the other side knows", f: &Facts{A: unanswered(), B: called(drops), Calls: Way{Sent: 2, Lost: 2}}},
	} {
		c.f.NameA, c.f.NameB, c.f.EndA, c.f.EndB = "left", "right", now, now
		fixes.Add(t, c.name, func(config string) fix.Steps {
			c.f.A.Config = config
			if c.f.B != nil {
				c.f.B.Config = config
			}
			v := c.f.Judge()
			if v.Certain != evidence.Certain(v.Evidence) {
				t.Errorf("%s: certain is %v, by %q", c.name, v.Certain, v.Evidence)
			}
			return v.Fix
		})
	}
	fixes.Compare(t, "testdata/fixes.json")
}

// A host that has seen nothing of the flow, not even that it exists, is no reason to fail.
func TestOtherSideWithoutFlow(t *testing.T) {
	a := caller(8 * time.Second)
	a.Peer.Handshake.Sent, a.Flow.SentData = 0, 1
	a.Flow.Seen[probe.A4] = &probe.Event{Time: now.Add(-8 * time.Second).UnixNano()}
	v := (&Facts{A: a, B: &diagnose.Facts{PublicKey: key.Public{0x0b}, Side: probe.SideB}, NameA: "left", NameB: "right", EndA: now, EndB: now,
		Forth: Way{Sent: 1, Arrived: 1}}).Judge()
	if v.Healthy() || v.Host != "left" {
		t.Errorf("%+v", v)
	}
}

// What the other side's kernel has dropped outweighs that nothing arrived, if it is what is
// missing; and nothing is certain that was not looked at.
func TestDroppedOverThere(t *testing.T) {
	drop := func(age time.Duration) *evidence.KernelEvidence {
		return &evidence.KernelEvidence{FromWire: evidence.Traversal{KernelDrop: &evidence.KernelDrop{At: now.Add(-age), Count: 2,
			Reason: "TC_INGRESS", Place: "__netif_receive_skb_core", Hook: "ingress", Device: "wan"}}}
	}
	claimed, hint := drop(3*time.Second), drop(3*time.Second)
	claimed.FromWire.KernelDrop.Claimed = true
	hint.FromWire.KernelDrop.Hint, hint.FromWire.KernelDrop.Place = true, "elsewhere"
	for name, test := range map[string]struct {
		k       *evidence.KernelEvidence
		code    diagnose.Code
		certain bool
	}{
		"dropped":                  {drop(3 * time.Second), diagnose.BPFDrop, true},
		"others were dropped":      {drop(8 * time.Second), diagnose.LostOnPath, false},
		"may be anybody's":         {claimed, diagnose.LostOnPath, false},
		"a hint":                   {hint, diagnose.LostOnPath, false},
		"nothing was seen":         {&evidence.KernelEvidence{}, diagnose.LostOnPath, true},
		"not all was looked at":    {&evidence.KernelEvidence{Limits: []string{"drops: no rights"}}, diagnose.LostOnPath, false},
		"nobody looked":            {&evidence.KernelEvidence{Blind: "no rights"}, diagnose.LostOnPath, false},
		"not all of it was traced": {&evidence.KernelEvidence{Lost: 3}, diagnose.LostOnPath, false},
	} {
		v := (&Facts{A: caller(8*time.Second, 3*time.Second), B: called(test.k), NameA: "left", NameB: "right", EndA: now, EndB: now,
			Calls: Way{Sent: 2, Lost: 2, LatestLost: now.Add(-3 * time.Second)}}).Judge()
		if v.Code != test.code || v.Certain != test.certain {
			t.Errorf("%s: %s, certain %v; want %s, %v: %q", name, v.Code, v.Certain, test.code, test.certain, evidence.Texts(v.Evidence))
		}
	}
}
