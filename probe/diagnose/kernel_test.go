package diagnose

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
)

// aDrop is a rule's, as a trace tells it.
func aDrop(hook string) *Drop {
	return &Drop{Hook: hook, Chain: "inet filter " + hook, Rule: "inet filter " + hook + " handle 7: drop",
		Packet: "tcp 10.0.0.1:45734 > 192.168.200.22:80", Fix: []string{"nft insert rule ..."}}
}

func ofData(d *Drop) *Drop {
	d.Data = true
	return d
}

func (s *story) kernel(at Segment, p Traversal) *story {
	if s.Kernel == nil {
		s.Kernel = &KernelEvidence{}
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

func TestJudgeByKernel(t *testing.T) {
	fixes := make(goldenFixes)
	lan := RouteDecision{Kind: RouteFound, Interface: "lan0", Text: "192.168.200.0/24 dev lan0"}
	silent := lan
	silent.Neighbor = &Neighbor{Unreachable: true, Addr: target.Addr(), Link: "lan0", Evidence: "FAILED"}
	on, off := &Forwarding{On: true}, &Forwarding{Evidence: "net.ipv4.conf.wg0.forwarding = 0", Fix: []string{"sysctl -w net.ipv4.ip_forward=1"}}
	martian := &SourceCheck{Drops: true, Evidence: []string{"rp_filter = 1"}, Fix: []string{"sysctl -w net.ipv4.conf.all.rp_filter=2"}}
	for _, c := range []struct {
		name string
		s    *story
		code Code
		at   probe.Checkpoint
		sure bool
		says string // in evidence or fix
	}{
		{"request dropped before the tunnel", tell(SideA).kernel(ToTunnel, Traversal{Drop: aDrop("output")}), OutputFirewall, probe.A1, true, "handle 7"},
		{"request dropped by a policy", tell(SideA).kernel(ToTunnel, Traversal{Drop: &Drop{Hook: "output", Chain: "inet filter output"}}), OutputFirewall, probe.A1, true, "policy is drop"},
		{"encrypted request dropped", tell(SideA).calls().kernel(ToWire, Traversal{Drop: aDrop("postrouting")}), UnderlayOutputFirewall, probe.A2, true, "handle 7"},
		{"encrypted answer dropped", tell(SideA).calls().kernel(FromWire, Traversal{Drop: aDrop("input")}), UnderlayInputFirewall, probe.A3, true, "handle 7"},
		{"encrypted data dropped", tell(SideA).connects().asks().kernel(FromWire, Traversal{Drop: ofData(aDrop("input"))}), UnderlayInputFirewall, probe.A5, true, "handle 7"},
		{"data of a session that is gone dropped", tell(SideA).calls().kernel(FromWire, Traversal{Drop: ofData(aDrop("input"))}), UnderlayInputFirewall, probe.A3, true, "handle 7"},
		{"encrypted answer filtered", tell(SideA).calls().kernel(FromWire, Traversal{Lost: "prerouting", Source: martian}), ReversePathFilter, probe.A3, true, "rp_filter = 1"},
		{"encrypted answer lost, not filtered", tell(SideA).calls().kernel(FromWire, Traversal{Lost: "prerouting", Source: &SourceCheck{}}), NoResponse, probe.A3, false, ""},
		{"answer dropped behind the tunnel", tell(SideA).connects().asks().inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPSyn|probe.TCPAck).
			kernel(FromTunnel, Traversal{Drop: aDrop("input")}), InputFirewall, probe.A6, true, "handle 7"},
		{"answer filtered behind the tunnel", tell(SideA).connects().asks().inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPSyn|probe.TCPAck).
			kernel(FromTunnel, Traversal{Lost: "prerouting", Source: martian}), ReversePathFilter, probe.A6, true, "rp_filter = 1"},

		{"call dropped", tell(SideB).kernel(FromWire, Traversal{Drop: aDrop("input")}), UnderlayInputFirewall, probe.B2, true, "handle 7"},
		{"data of a session that is gone dropped here", tell(SideB).kernel(FromWire, Traversal{Drop: ofData(aDrop("input"))}), UnderlayInputFirewall, probe.B2, true, "handle 7"},
		{"reply dropped", tell(SideB).comesIn().kernel(ToWire, Traversal{Drop: ofData(aDrop("output"))}), UnderlayOutputFirewall, probe.B8, true, "handle 7"},
		{"answer dropped, and data of a session that is gone", tell(SideB).called().kernel(ToWire, Traversal{Drop: ofData(aDrop("output"))}), UnderlayOutputFirewall, probe.B2, true, "handle 7"},
		{"not forwarded, off", tell(SideB).comesIn().kernel(FromTunnel, Traversal{Lost: "prerouting", Route: lan, Forwarding: off, Source: &SourceCheck{}}),
			ForwardingDisabled, probe.B5, true, "ip_forward=1"},
		{"no way on", tell(SideB).comesIn().kernel(FromTunnel, Traversal{Lost: "prerouting", Route: RouteDecision{Kind: RouteNone, Text: "no route"}, Forwarding: off}),
			NoRouteOnward, probe.B5, true, "no route"},
		{"blackhole", tell(SideB).comesIn().kernel(FromTunnel, Traversal{Lost: "prerouting", Route: RouteDecision{Kind: RouteBlackhole, Text: "blackhole", Remove: "ip route del blackhole 192.168.200.0/24"}, Forwarding: on}),
			NoRouteOnward, probe.B5, true, "ip route del blackhole"},
		{"forward dropped", tell(SideB).comesIn().kernel(FromTunnel, Traversal{Drop: aDrop("forward"), Route: lan, Forwarding: on}), ForwardFirewall, probe.B5, true, "handle 7"},
		{"own input dropped", tell(SideB).comesIn().kernel(FromTunnel, Traversal{Drop: aDrop("input")}), InputFirewall, probe.B7, true, "handle 7"},
		{"source filtered", tell(SideB).comesIn().kernel(FromTunnel, Traversal{Lost: "prerouting", Route: lan, Forwarding: on, Source: martian}), ReversePathFilter, probe.B5, true, "rp_filter = 1"},
		{"neighbour silent", tell(SideB).comesIn().kernel(FromTunnel, Traversal{Passed: "postrouting", Out: "lan0", Route: silent, Forwarding: on}), NeighborUnreachable, probe.B6, true, "FAILED"},
		{"no answer, untranslated", tell(SideB).comesIn().kernel(FromTunnel, Traversal{Passed: "postrouting", Out: "lan0", Route: lan, Forwarding: on,
			Conntrack: &Conntrack{Text: "unreplied", Unreplied: true}}), NoReplyFromDestination, probe.B6, false, "unreplied"},
		{"answer dropped", tell(SideB).comesIn().kernel(FromTunnel, Traversal{Passed: "postrouting", Out: "lan0"}).
			kernel(ToTunnel, Traversal{Drop: aDrop("forward"), In: "lan0"}), ReturnFirewall, probe.B7, true, "handle 7"},
		{"answer routed elsewhere", tell(SideB).comesIn().kernel(FromTunnel, Traversal{Passed: "postrouting", Out: "lan0"}).
			kernel(ToTunnel, Traversal{Passed: "postrouting", In: "lan0", Route: RouteDecision{Kind: RouteFound, Interface: "eth1", Text: "10.0.0.0/24 dev eth1", By: "1000: from all lookup 7"}}),
			ReturnRouteWrong, probe.B7, true, "lookup 7"},
		{"answer filtered", tell(SideB).comesIn().kernel(FromTunnel, Traversal{Passed: "postrouting", Out: "lan0"}).
			kernel(ToTunnel, Traversal{Lost: "prerouting", In: "lan0", Source: martian}), ReversePathFilter, probe.B7, true, "rp_filter = 1"},
	} {
		v, _ := c.s.Judge(now)
		if v.Code != c.code || v.Checkpoint != c.at || v.Certain != c.sure {
			t.Errorf("%s: %s at %s, certain %v; want %s at %s, %v\n%+v", c.name, v.Code, v.Checkpoint, v.Certain, c.code, c.at, c.sure, v)
		}
		if text := strings.Join(slices.Concat(v.Evidence, v.Fix.Lines()), "\n"); !strings.Contains(text, c.says) {
			t.Errorf("%s: %q is not in\n%s", c.name, c.says, text)
		}
		fixes.add(t, c.name, c.s.Facts)
	}
	fixes.compare(t, "kernel")
}

// A drop that something came through after is no fault.
func TestDropsThatPass(t *testing.T) {
	s := tell(SideA).connects().asks().inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPSyn|probe.TCPAck).
		kernel(FromWire, Traversal{Drop: aDrop("input"), Src: netip.MustParseAddrPort("203.0.113.2:51820")}).
		kernel(ToWire, Traversal{Drop: aDrop("output")})
	s.Flow.Probe = Probe{Sent: true, Done: true, Answered: true}
	if v, settled := s.Judge(now); !v.Healthy() || !settled {
		t.Errorf("got %+v", v)
	}
}

func TestSeenBehindTheTunnel(t *testing.T) {
	s := tell(SideB).comesIn().kernel(FromTunnel, Traversal{Passed: "postrouting", Out: "lan0", Translated: "source 10.0.0.1:45734 to 192.168.200.2:45734"}).
		kernel(ToTunnel, Traversal{In: "lan0", Src: target, Dst: here})
	v, _ := s.Judge(now)
	rungs := s.Ladder(&v, now)
	if b5 := rungs[4]; b5.Status != Pass || !strings.Contains(b5.Detail, "out of lan0, source 10.0.0.1:45734 to 192.168.200.2") {
		t.Errorf("B5: %+v", b5)
	}
	if b6 := rungs[5]; b6.Status != Pass || !strings.Contains(b6.Detail, "came in on lan0") {
		t.Errorf("B6: %+v", b6)
	}
}

func TestJudgeMTU(t *testing.T) {
	fixes := make(goldenFixes)
	healthy := func(m *PathMTU) *story {
		s := tell(SideA).connects().asks().inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPSyn|probe.TCPAck)
		s.Flow.Probe = Probe{Sent: true, Done: true, Answered: true}
		s.PathMTU = m
		return s
	}
	router := netip.MustParseAddr("10.0.0.2")
	for _, c := range []struct {
		name string
		m    *PathMTU
		code Code
		says string
	}{
		{"not measured", nil, Healthy, ""},
		{"all fits", &PathMTU{To: target.Addr(), Link: 1420, Largest: 1420}, Healthy, "full size, 1420 bytes"},
		{"told", &PathMTU{To: target.Addr(), Link: 1420, Largest: 1400, ToldBy: router, Told: 1400}, Healthy, "10.0.0.2 tells senders so"},
		{"swallowed", &PathMTU{To: target.Addr(), Link: 1420, Largest: 1392}, MTUBlackhole, "ip link set mtu 1392 dev wg0"},
		{"swallowed, the clamp", &PathMTU{To: target.Addr(), Link: 1420, Largest: 1392}, MTUBlackhole, "size set 1352"},
		{"swallowed on the way back", &PathMTU{To: target.Addr(), Link: 1420, Largest: 1392, Forth: true}, MTUBlackhole, "the other end"},
		{"next to nothing", &PathMTU{To: target.Addr(), Link: 1420, Largest: 600}, MTUBlackhole, "the way itself should be mended"},
	} {
		v, settled := healthy(c.m).Judge(now)
		if v.Code != c.code || !settled || !v.Certain {
			t.Errorf("%s: %+v", c.name, v)
		}
		if text := strings.Join(slices.Concat(v.Evidence, v.Fix.Lines()), "\n"); !strings.Contains(text, c.says) {
			t.Errorf("%s: %q is not in\n%s", c.name, c.says, text)
		}
		fixes.add(t, c.name, healthy(c.m).Facts)
	}
	fixes.compare(t, "mtu")
}

// What could not be seen is said beside every verdict that is not certain.
func TestJudgeSaysWhatItMissed(t *testing.T) {
	blind := &KernelEvidence{Blind: "operation not permitted"}
	missed := &KernelEvidence{Limits: []string{"legacy rules are not traced"}, Lost: 7}
	for _, s := range []*story{
		tell(SideA).calls(), tell(SideA).connects().asks(), tell(SideB).called().called(), tell(SideB).comesIn(),
	} {
		s.Kernel = blind
		if v, _ := s.Judge(now); v.Certain || !strings.Contains(strings.Join(v.Evidence, "\n"), "not known: operation not permitted") {
			t.Errorf("%s: %v", v.Code, v.Evidence)
		}
		s.Kernel = missed
		v, _ := s.Judge(now)
		if text := strings.Join(v.Evidence, "\n"); !strings.Contains(text, "legacy rules are not traced\n7 trace events were lost") {
			t.Errorf("%s: %s", v.Code, text)
		}
	}
	s := tell(SideA).calls().kernel(ToWire, Traversal{Drop: aDrop("output")})
	s.Kernel.Lost = 7
	if v, _ := s.Judge(now); !v.Certain || strings.Contains(strings.Join(v.Evidence, "\n"), "were lost") {
		t.Errorf("a certain verdict doubts: %v", v.Evidence)
	}
}
