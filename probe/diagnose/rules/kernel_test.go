package rules

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix/fixtest"
)

// aDrop is a rule's, as a trace tells it.
func aDrop(hook string) *evidence.Drop {
	return &evidence.Drop{Hook: hook, Chain: "inet filter " + hook, Rule: "inet filter " + hook + " handle 7: drop",
		Packet: "tcp 10.0.0.1:45734 > 192.168.200.22:80", Fix: []string{"nft insert rule ..."}}
}

func ofData(d *evidence.Drop) *evidence.Drop {
	d.Data = true
	return d
}

func (s *story) kernel(at evidence.Segment, p evidence.Traversal) *story {
	if s.Kernel == nil {
		s.Kernel = &evidence.KernelEvidence{}
	}
	if p.Packets == 0 {
		p.Packets = 1
	}
	if !p.Src.IsValid() {
		p.Src, p.Dst = here, target
	}
	*s.Kernel.On(at) = p
	return s
}

// comesIn is a request of bob's that leaves the tunnel here.
func (s *story) comesIn() *story {
	return s.called().inner(probe.B4, probe.SeamTUNWrite, here, target, probe.TCPSyn)
}

// kernelCase is what the kernel did, and the verdict on it.
type kernelCase struct {
	name string
	s    *story
	code diagnose.Code
	at   probe.Checkpoint
	sure bool
	says string // in evidence or fix
}

// martian is a source that the kernel has no route back to.
func martian() *evidence.SourceCheck {
	return &evidence.SourceCheck{Drops: true, Evidence: []string{"rp_filter = 1"}, Fix: []string{"sysctl -w net.ipv4.conf.all.rp_filter=2"}}
}

// tunnelCases are about the way into the tunnel, and about encrypted packets.
func tunnelCases() []kernelCase {
	return []kernelCase{
		{name: "request dropped before the tunnel", s: tell(probe.SideA).kernel(evidence.ToTunnel, evidence.Traversal{Drop: aDrop("output")}),
			code: diagnose.OutputFirewall, at: probe.A1, sure: true, says: "handle 7"},
		{name: "request dropped by a policy", s: tell(probe.SideA).
			kernel(evidence.ToTunnel, evidence.Traversal{Drop: &evidence.Drop{Hook: "output", Chain: "inet filter output"}}),
			code: diagnose.OutputFirewall, at: probe.A1, sure: true, says: "policy is drop"},
		{name: "encrypted request dropped", s: tell(probe.SideA).calls().kernel(evidence.ToWire, evidence.Traversal{Drop: aDrop("postrouting")}),
			code: diagnose.UnderlayOutputFirewall, at: probe.A2, sure: true, says: "handle 7"},
		{name: "encrypted answer dropped", s: tell(probe.SideA).calls().kernel(evidence.FromWire, evidence.Traversal{Drop: aDrop("input")}),
			code: diagnose.UnderlayInputFirewall, at: probe.A3, sure: true, says: "handle 7"},
		{name: "encrypted data dropped", s: tell(probe.SideA).connects().asks().
			kernel(evidence.FromWire, evidence.Traversal{Drop: ofData(aDrop("input"))}), code: diagnose.UnderlayInputFirewall, at: probe.A5,
			sure: true, says: "handle 7"},
		{name: "data of a session that is gone dropped", s: tell(probe.SideA).calls().
			kernel(evidence.FromWire, evidence.Traversal{Drop: ofData(aDrop("input"))}), code: diagnose.UnderlayInputFirewall, at: probe.A3,
			sure: true, says: "handle 7"},
		{name: "encrypted answer filtered", s: tell(probe.SideA).calls().
			kernel(evidence.FromWire, evidence.Traversal{Lost: "prerouting", Source: martian()}), code: diagnose.ReversePathFilter, at: probe.A3,
			sure: true, says: "rp_filter = 1"},
		{name: "encrypted answer lost, not filtered", s: tell(probe.SideA).calls().
			kernel(evidence.FromWire, evidence.Traversal{Lost: "prerouting", Source: &evidence.SourceCheck{}}), code: diagnose.NoResponse,
			at: probe.A3},
		{name: "answer dropped behind the tunnel", s: tell(probe.SideA).connects().asks().
			inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPSyn|probe.TCPAck).
			kernel(evidence.FromTunnel, evidence.Traversal{Drop: aDrop("input")}), code: diagnose.InputFirewall, at: probe.A6, sure: true,
			says: "handle 7"},
		{name: "answer filtered behind the tunnel", s: tell(probe.SideA).connects().asks().
			inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPSyn|probe.TCPAck).
			kernel(evidence.FromTunnel, evidence.Traversal{Lost: "prerouting", Source: martian()}), code: diagnose.ReversePathFilter, at: probe.A6,
			sure: true, says: "rp_filter = 1"},

		{name: "call dropped", s: tell(probe.SideB).kernel(evidence.FromWire, evidence.Traversal{Drop: aDrop("input")}),
			code: diagnose.UnderlayInputFirewall, at: probe.B2, sure: true, says: "handle 7"},
		{name: "data of a session that is gone dropped here", s: tell(probe.SideB).
			kernel(evidence.FromWire, evidence.Traversal{Drop: ofData(aDrop("input"))}), code: diagnose.UnderlayInputFirewall, at: probe.B2,
			sure: true, says: "handle 7"},
		{name: "reply dropped", s: tell(probe.SideB).comesIn().kernel(evidence.ToWire, evidence.Traversal{Drop: ofData(aDrop("output"))}),
			code: diagnose.UnderlayOutputFirewall, at: probe.B8, sure: true, says: "handle 7"},
		{name: "answer dropped, and data of a session that is gone", s: tell(probe.SideB).called().
			kernel(evidence.ToWire, evidence.Traversal{Drop: ofData(aDrop("output"))}), code: diagnose.UnderlayOutputFirewall, at: probe.B2,
			sure: true, says: "handle 7"},
	}
}

// behindCases are about what becomes of a request behind the tunnel, and of its answer.
func behindCases() []kernelCase {
	lan := evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "lan0", Text: "192.168.200.0/24 dev lan0"}
	silent := lan
	silent.Neighbor = &evidence.Neighbor{Unreachable: true, Addr: target.Addr(), Link: "lan0", Evidence: "FAILED"}
	on, off := &evidence.Forwarding{On: true}, &evidence.Forwarding{Evidence: "net.ipv4.conf.wg0.forwarding = 0",
		Fix: []string{"sysctl -w net.ipv4.ip_forward=1"}}
	return []kernelCase{
		{name: "not forwarded, off", s: tell(probe.SideB).comesIn().
			kernel(evidence.FromTunnel, evidence.Traversal{Lost: "prerouting", Route: lan, Forwarding: off, Source: &evidence.SourceCheck{}}),
			code: diagnose.ForwardingDisabled, at: probe.B5, sure: true, says: "ip_forward=1"},
		{name: "no way on", s: tell(probe.SideB).comesIn().kernel(evidence.FromTunnel,
			evidence.Traversal{Lost: "prerouting", Route: evidence.RouteDecision{Kind: evidence.RouteNone, Text: "no route"}, Forwarding: off}),
			code: diagnose.NoRouteOnward, at: probe.B5, sure: true, says: "no route"},
		{name: "blackhole", s: tell(probe.SideB).comesIn().kernel(evidence.FromTunnel,
			evidence.Traversal{Lost: "prerouting", Route: evidence.RouteDecision{Kind: evidence.RouteBlackhole, Text: "blackhole",
				Remove: "ip route del blackhole 192.168.200.0/24"}, Forwarding: on}), code: diagnose.NoRouteOnward, at: probe.B5, sure: true,
			says: "ip route del blackhole"},
		{name: "forward dropped", s: tell(probe.SideB).comesIn().kernel(evidence.FromTunnel,
			evidence.Traversal{Drop: aDrop("forward"), Route: lan, Forwarding: on}), code: diagnose.ForwardFirewall, at: probe.B5, sure: true,
			says: "handle 7"},
		{name: "own input dropped", s: tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, evidence.Traversal{Drop: aDrop("input")}),
			code: diagnose.InputFirewall, at: probe.B7, sure: true, says: "handle 7"},
		{name: "source filtered", s: tell(probe.SideB).comesIn().kernel(evidence.FromTunnel,
			evidence.Traversal{Lost: "prerouting", Route: lan, Forwarding: on, Source: martian()}), code: diagnose.ReversePathFilter, at: probe.B5,
			sure: true, says: "rp_filter = 1"},
		{name: "neighbour silent", s: tell(probe.SideB).comesIn().
			kernel(evidence.FromTunnel, evidence.Traversal{Passed: "postrouting", Out: "lan0", Route: silent, Forwarding: on}),
			code: diagnose.NeighborUnreachable, at: probe.B6, sure: true, says: "FAILED"},
		{name: "no answer, untranslated", s: tell(probe.SideB).comesIn().
			kernel(evidence.FromTunnel, evidence.Traversal{Passed: "postrouting", Out: "lan0", Route: lan, Forwarding: on,
				Conntrack: &evidence.Conntrack{Text: "unreplied", Unreplied: true}}), code: diagnose.NoReplyFromDestination, at: probe.B6,
			says: "unreplied"},
		{name: "answer dropped", s: tell(probe.SideB).comesIn().kernel(evidence.FromTunnel,
			evidence.Traversal{Passed: "postrouting", Out: "lan0"}).kernel(evidence.ToTunnel,
			evidence.Traversal{Drop: aDrop("forward"), In: "lan0"}), code: diagnose.ReturnFirewall, at: probe.B7, sure: true, says: "handle 7"},
		{name: "answer routed elsewhere", s: tell(probe.SideB).comesIn().
			kernel(evidence.FromTunnel, evidence.Traversal{Passed: "postrouting", Out: "lan0"}).
			kernel(evidence.ToTunnel, evidence.Traversal{Passed: "postrouting", In: "lan0",
				Route: evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth1", Text: "10.0.0.0/24 dev eth1",
					By: "1000: from all lookup 7"}}), code: diagnose.ReturnRouteWrong, at: probe.B7, sure: true, says: "lookup 7"},
		{name: "answer routed elsewhere, where nobody takes it", s: tell(probe.SideB).comesIn().
			kernel(evidence.FromTunnel, evidence.Traversal{Passed: "postrouting", Out: "lan0"}).
			kernel(evidence.ToTunnel, evidence.Traversal{Passed: "postrouting", In: "lan0",
				KernelDrop: &evidence.KernelDrop{Reason: "NEIGH_FAILED", Place: "neigh_invalidate", Device: "eth1", Count: 1},
				Route:      evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth1", Text: "10.0.0.0/24 dev eth1"}}),
			code: diagnose.ReturnRouteWrong, at: probe.B7, sure: true, says: "NEIGH_FAILED"},
		{name: "answer filtered", s: tell(probe.SideB).comesIn().kernel(evidence.FromTunnel,
			evidence.Traversal{Passed: "postrouting", Out: "lan0"}).kernel(evidence.ToTunnel,
			evidence.Traversal{Lost: "prerouting", In: "lan0", Source: martian()}), code: diagnose.ReversePathFilter, at: probe.B7, sure: true,
			says: "rp_filter = 1"},
		{name: "answer with this host's own source", s: tell(probe.SideB).comesIn().kernel(evidence.FromTunnel,
			evidence.Traversal{Passed: "postrouting", Out: "lan0"}).kernel(evidence.ToTunnel,
			evidence.Traversal{Lost: "prerouting", In: "lan0", Src: here, Source: &evidence.SourceCheck{Drops: true,
				Fix:  []string{"ip -4 route del local 10.0.0.1 dev wg0 table local"},
				Back: evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "lo", Local: true}}}),
			code: diagnose.ReversePathFilter, at: probe.B7, sure: true, says: "Give one of the two another address"},
	}
}

func TestJudgeByKernel(t *testing.T) {
	fixes := make(fixtest.Fixes)
	for _, c := range slices.Concat(tunnelCases(), behindCases()) {
		v, _ := c.s.judge()
		if v.Code != c.code || v.Checkpoint != c.at || v.Certain != c.sure {
			t.Errorf("%s: %s at %s, certain %v; want %s at %s, %v\n%+v", c.name, v.Code, v.Checkpoint, v.Certain, c.code, c.at, c.sure, v)
		}
		if text := strings.Join(slices.Concat(evidence.Texts(v.Evidence), v.Fix.Lines()), "\n"); !strings.Contains(text, c.says) {
			t.Errorf("%s: %q is not in\n%s", c.name, c.says, text)
		}
		addFix(t, fixes, c.name, c.s.Facts)
	}
	fixes.Compare(t, "testdata/fixes/kernel.json")
}

// A drop that something came through after is no fault.
func TestDropsThatPass(t *testing.T) {
	s := tell(probe.SideA).connects().asks().inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPSyn|probe.TCPAck).
		kernel(evidence.FromWire, evidence.Traversal{Drop: aDrop("input"), Src: netip.MustParseAddrPort("203.0.113.2:51820")}).
		kernel(evidence.ToWire, evidence.Traversal{Drop: aDrop("output")})
	s.Flow.Probe = diagnose.Probe{Sent: true, Done: true, Answered: true}
	if v, settled := s.judge(); !v.Healthy() || !settled {
		t.Errorf("got %+v", v)
	}
}

func TestSeenBehindTheTunnel(t *testing.T) {
	s := tell(probe.SideB).comesIn().kernel(evidence.FromTunnel,
		evidence.Traversal{Passed: "postrouting", Out: "lan0", Translated: "source 10.0.0.1:45734 to 192.168.200.2:45734"}).
		kernel(evidence.ToTunnel, evidence.Traversal{In: "lan0", Src: target, Dst: here})
	v, _ := s.judge()
	rungs := s.Ladder(&v, now)
	if b5 := rungs[4]; b5.Status != diagnose.Pass || !strings.Contains(b5.Detail, "out of lan0, source 10.0.0.1:45734 to 192.168.200.2") {
		t.Errorf("B5: %+v", b5)
	}
	if b6 := rungs[5]; b6.Status != diagnose.Pass || !strings.Contains(b6.Detail, "came in on lan0") {
		t.Errorf("B6: %+v", b6)
	}
}

func TestJudgeMTU(t *testing.T) {
	fixes := make(fixtest.Fixes)
	healthy := func(m *diagnose.PathMTU) *story {
		s := tell(probe.SideA).connects().asks().inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPSyn|probe.TCPAck)
		s.Flow.Probe = diagnose.Probe{Sent: true, Done: true, Answered: true}
		s.PathMTU = m
		return s
	}
	router := netip.MustParseAddr("10.0.0.2")
	for _, c := range []struct {
		name string
		m    *diagnose.PathMTU
		code diagnose.Code
		says string
	}{
		{name: "not measured", code: diagnose.Healthy, says: "full-size packets were not tested"},
		{name: "cannot be measured", m: &diagnose.PathMTU{To: target.Addr(), Link: 1420, Untested: "no echo"}, code: diagnose.Healthy,
			says: "full-size packets were not tested: no echo"},
		{name: "all fits", m: &diagnose.PathMTU{To: target.Addr(), Link: 1420, Largest: 1420}, code: diagnose.Healthy,
			says: "full size, 1420 bytes"},
		{name: "told", m: &diagnose.PathMTU{To: target.Addr(), Link: 1420, Largest: 1400, ToldBy: router, Told: 1400}, code: diagnose.Healthy,
			says: "10.0.0.2 tells senders so"},
		{name: "swallowed", m: &diagnose.PathMTU{To: target.Addr(), Link: 1420, Largest: 1392}, code: diagnose.MTUBlackhole,
			says: "ip link set mtu 1392 dev wg0"},
		{name: "swallowed, the clamp", m: &diagnose.PathMTU{To: target.Addr(), Link: 1420, Largest: 1392}, code: diagnose.MTUBlackhole,
			says: "size set 1352"},
		{name: "swallowed on the way back", m: &diagnose.PathMTU{To: target.Addr(), Link: 1420, Largest: 1392, Forth: true},
			code: diagnose.MTUBlackhole, says: "the other end"},
		{name: "next to nothing", m: &diagnose.PathMTU{To: target.Addr(), Link: 1420, Largest: 600}, code: diagnose.MTUBlackhole,
			says: "the path itself should be fixed"},
		{name: "less than every path takes", m: &diagnose.PathMTU{To: target.Addr(), Link: 1420, Largest: 288}, code: diagnose.MTUBlackhole,
			says: "no MTU helps"},
		{name: "less than every path of IPv6 takes", m: &diagnose.PathMTU{To: netip.MustParseAddr("fd00::1"), Link: 1420, Largest: 640},
			code: diagnose.MTUBlackhole, says: "no MTU helps"},
		{name: "told too much", m: &diagnose.PathMTU{To: target.Addr(), Link: 1420, Largest: 1300, ToldBy: router, Told: 1400},
			code: diagnose.MTUBlackhole, says: "1400, which 10.0.0.2 claims to pass"},
		{name: "told in steps", m: &diagnose.PathMTU{To: target.Addr(), Link: 1420, Largest: 1396, ToldBy: router, Told: 1399},
			code: diagnose.Healthy, says: "10.0.0.2 tells senders so"},
	} {
		v, settled := healthy(c.m).judge()
		// That something is lost is known by what does not come: it is not certain.
		if lost := c.code == diagnose.MTUBlackhole; v.Code != c.code || !settled || v.Certain == lost || lost && len(v.Candidates) < 2 {
			t.Errorf("%s: certain %v, settled %v: %+v", c.name, v.Certain, settled, v)
		}
		if text := strings.Join(slices.Concat(evidence.Texts(v.Evidence), v.Fix.Lines()), "\n"); !strings.Contains(text, c.says) {
			t.Errorf("%s: %q is not in\n%s", c.name, c.says, text)
		}
		addFix(t, fixes, c.name, healthy(c.m).Facts)
	}
	fixes.Compare(t, "testdata/fixes/mtu.json")
}

// What could not be seen is said beside every verdict that is not certain.
func TestJudgeSaysWhatItMissed(t *testing.T) {
	blind := &evidence.KernelEvidence{Blind: "operation not permitted"}
	missed := &evidence.KernelEvidence{Limits: []string{"legacy rules are not traced"}, Lost: 7}
	for _, s := range []*story{
		tell(probe.SideA).calls(), tell(probe.SideA).connects().asks(), tell(probe.SideB).called().called(), tell(probe.SideB).comesIn(),
	} {
		s.Kernel = blind
		if v, _ := s.judge(); v.Certain || !strings.Contains(strings.Join(evidence.Texts(v.Evidence), "\n"),
			"not known: operation not permitted") {
			t.Errorf("%s: %v", v.Code, v.Evidence)
		}
		s.Kernel = missed
		v, _ := s.judge()
		if text := strings.Join(evidence.Texts(v.Evidence), "\n"); !strings.Contains(text,
			"legacy rules are not traced\n7 trace events were lost") {
			t.Errorf("%s: %s", v.Code, text)
		}
	}
	s := tell(probe.SideA).calls().kernel(evidence.ToWire, evidence.Traversal{Drop: aDrop("output")})
	s.Kernel.Lost = 7
	if v, _ := s.judge(); !v.Certain || strings.Contains(strings.Join(evidence.Texts(v.Evidence), "\n"), "were lost") {
		t.Errorf("a certain verdict doubts: %v", v.Evidence)
	}
}

// A session that stands is no sign that all is well where this host drops the peer's calls and
// has heard nothing from it since: the peer has that session no more.
func TestCallsDroppedBesideSession(t *testing.T) {
	drop := func(p *evidence.Traversal) { p.Drop = aDrop("prerouting") }
	ipsec := func(p *evidence.Traversal) {
		p.Passed, p.XfrmBlocks = "input", []evidence.XfrmBlock{{Text: "IPsec policy", Fix: "ip xfrm policy delete"}}
	}
	for _, c := range []struct {
		name  string
		at    time.Duration // of the drop, before now
		heard time.Duration // of what came from the peer last
		edit  func(p *evidence.Traversal)
		want  diagnose.Code
	}{
		{"dropped, and silent", 2 * time.Second, 20 * time.Second, drop, diagnose.UnderlayInputFirewall},
		{"dropped, and heard since", 2 * time.Second, time.Second, drop, diagnose.Healthy},
		{"and others send in its name", 2 * time.Second, time.Second, func(p *evidence.Traversal) {
			drop(p)
			p.Add(&evidence.Traversal{Packets: 1, At: now, DataAt: now, Whose: evidence.Claimed})
		}, diagnose.Healthy},
		{"others send data in the name of one that is silent", 2 * time.Second, 20 * time.Second, func(p *evidence.Traversal) {
			drop(p)
			p.Add(&evidence.Traversal{Packets: 1, At: now, DataAt: now, Whose: evidence.Claimed})
		}, diagnose.UnderlayInputFirewall},
		{"data dropped", 2 * time.Second, 20 * time.Second, func(p *evidence.Traversal) { p.Drop = ofData(aDrop("input")) }, diagnose.Healthy},
		{"dropped by the kernel's account", 2 * time.Second, 20 * time.Second, func(p *evidence.Traversal) {
			p.KernelDrop = dropped("NETFILTER_DROP", "nf_hook_slow").KernelDrop
			p.KernelDrop.At = now.Add(-2 * time.Second)
		}, diagnose.UnderlayInputFirewall},
		{"behind all hooks", 2 * time.Second, 20 * time.Second, ipsec, diagnose.UnderlayInputFirewall},
		{"on its way to the socket", time.Millisecond, 20 * time.Second, ipsec, diagnose.Healthy},
	} {
		s := tell(probe.SideB).called()
		s.Flow = nil
		h := &s.Peer.Handshake
		h.Received, h.Answered, h.Established, h.EstablishedNow = 0, 0, now.Add(-20*time.Second), true
		s.Peer.Heard = now.Add(-c.heard)
		p := evidence.Traversal{Packets: 1, At: now.Add(-c.at), Whose: evidence.Authenticated, Src: endpoint}
		c.edit(&p)
		s.kernel(evidence.FromWire, p)
		if v, _ := s.judge(); v.Code != c.want {
			t.Errorf("%s: %s: %s", c.name, v.Code, v.Summary)
		}
	}
}
