package rules

import (
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/fix/fixtest"
)

// addFix judges f under a configuration of each language.
func addFix(t *testing.T, fixes fixtest.Fixes, name string, f *diagnose.Facts) {
	t.Helper()
	defer func(was string) { f.Config = was }(f.Config)
	fixes.Add(t, name, func(config string) fix.Steps {
		f.Config = config
		v, _ := Judge(f, now)
		if err := weighed(&v); err != nil {
			t.Error(err)
		}
		return v.Fix
	})
}

type fixCase struct {
	name string
	s    *story
}

func routed(s *story, r evidence.RouteDecision) *story     { s.Flow.Route = r; return s }
func endpointBy(s *story, r evidence.RouteDecision) *story { s.Peer.Route = r; return s }
func edited(s *story, edit func(s *story)) *story          { edit(s); return s }

// sent has the socket refuse a message.
func sent(s *story, errno syscall.Errno) *story {
	e := probe.Event{Kind: probe.KindData}
	e.SetErrno(errno)
	return s.add(e)
}

var (
	byRule = evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth1", Text: "default dev eth1 table 7",
		By: "1000: from all lookup 7", Remove: "ip rule del pref 1000 lookup 7"}
	policy = []evidence.XfrmBlock{{Text: "IPsec policy: src 0.0.0.0/0 action block", Fix: "ip xfrm policy delete dir out"}}
)

// fixesOutward are about what keeps packets from the peer.
func fixesOutward() []fixCase {
	elsewhere := evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth0", Text: "192.168.200.22 dev eth0"}
	traced := &evidence.KernelEvidence{}
	return []fixCase{
		{name: "routed by a rule", s: routed(tell(probe.SideA), byRule)},
		{name: "this host's own", s: routed(tell(probe.SideA), evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "lo", Local: true})},
		{name: "link down and an address missing", s: edited(routed(tell(probe.SideA), elsewhere), func(s *story) {
			s.LinkDown, s.Missing = true, []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}
		})},
		{name: "address missing, no reply", s: edited(tell(probe.SideA).connects().asks(), func(s *story) {
			s.Missing = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}
		})},
		{name: "changed since", s: edited(routed(tell(probe.SideA), elsewhere), func(s *story) { s.Changed = "bob has lost a prefix" })},
		{name: "no peer, nearest known, routed elsewhere", s: edited(routed(tell(probe.SideA), elsewhere), func(s *story) {
			s.Nearest, s.Peer = s.Peer, nil
		})},
		{name: "endpoint in tunnel, way around known", s: endpointBy(tell(probe.SideA).asks().calls(),
			evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "wg0", Beatable: true,
				Around: "ip route add 203.0.113.2/32 via 192.168.1.1 dev eth0"})},
		{name: "endpoint in tunnel, by a rule", s: endpointBy(tell(probe.SideA).asks().calls(),
			evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "wg0", Remove: "ip rule del pref 1000 lookup 7"})},
		{name: "endpoint blackholed", s: endpointBy(tell(probe.SideA).asks(),
			evidence.RouteDecision{Kind: evidence.RouteBlackhole, Remove: "ip route del blackhole 203.0.113.2"})},
		{name: "endpoint not routed, marked", s: edited(endpointBy(tell(probe.SideA).asks(), evidence.RouteDecision{Kind: evidence.RouteNone}),
			func(s *story) { s.FwMark = 51820 })},
		{name: "queue full", s: sent(tell(probe.SideA).calls(), syscall.ENOBUFS)},
		{name: "cannot send", s: sent(tell(probe.SideA).calls(), syscall.ENETUNREACH)},
		{name: "refused before netfilter", s: edited(sent(tell(probe.SideA).calls(), syscall.EPERM),
			func(s *story) { s.Kernel, s.Peer.XfrmBlocks = traced, policy })},
		{name: "port closed on this host", s: endpointBy(tell(probe.SideA).calls().icmp(probe.ICMPPortUnreachable, "203.0.113.2"),
			evidence.RouteDecision{Kind: evidence.RouteFound, Local: true})},
		{name: "next hop silent", s: endpointBy(tell(probe.SideA).calls().icmp(probe.ICMPHostUnreachable, "192.168.1.11"),
			evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth0", Gateway: netip.MustParseAddr("192.168.1.1"),
				Source: netip.MustParseAddr("192.168.1.11")})},
		{name: "no response on this host", s: endpointBy(tell(probe.SideA).asks().calls().after(5*time.Second).calls(),
			evidence.RouteDecision{Kind: evidence.RouteFound, Local: true})},
	}
}

// fixesInside are about packets on their way through this host, and behind the peer.
func fixesInside() []fixCase {
	traced := &evidence.KernelEvidence{}
	reply := func() *story {
		return tell(probe.SideA).connects().asks().inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPSyn|probe.TCPAck)
	}
	return []fixCase{
		{name: "port closed behind the peer", s: tell(probe.SideA).connects().asks().innerICMP("192.168.200.22", 3, 3)},
		{name: "port closed behind the peer, no probe", s: edited(tell(probe.SideA).connects().asks().innerICMP("192.168.200.22", 3, 3),
			func(s *story) { s.Flow.Probe = diagnose.Probe{} })},
		{name: "unreachable behind the peer", s: tell(probe.SideA).connects().asks().innerICMP("10.0.0.2", 3, 1)},
		{name: "in circles", s: tell(probe.SideA).connects().asks().innerICMP("10.0.0.2", 11, 0)},
		{name: "did not enter, refused", s: edited(tell(probe.SideA), func(s *story) {
			s.Flow.Probe, s.Flow.XfrmBlocks, s.Kernel = diagnose.Probe{Sent: true, Done: true, Errno: syscall.EPERM}, policy, traced
		})},
		{name: "did not enter, refused by what is not known", s: edited(tell(probe.SideA), func(s *story) {
			s.Flow.Probe, s.Kernel = diagnose.Probe{Sent: true, Done: true, Errno: syscall.EPERM}, traced
		})},
		{name: "did not enter, traced", s: tell(probe.SideA).kernel(evidence.ToTunnel, evidence.Traversal{Passed: "output"})},
		{name: "did not enter, not traced", s: tell(probe.SideA)},
		{name: "diverted by a rule", s: tell(probe.SideA).kernel(evidence.ToTunnel,
			evidence.Traversal{Passed: "postrouting", Out: "eth0", Changed: "mark 0x0 to 0x7", ChangedBy: "meta mark set 0x7",
				Spare: []string{"nft insert rule ip mangle output ip daddr 192.168.200.22 accept"}})},
		{name: "diverted", s: tell(probe.SideA).kernel(evidence.ToTunnel, evidence.Traversal{Passed: "postrouting", Out: "eth0"})},
		{name: "dropped, with a command", s: tell(probe.SideA).kernel(evidence.ToTunnel,
			evidence.Traversal{Drop: &evidence.Drop{Hook: "output", Chain: "inet filter output", Rule: "drop",
				Fix: []string{"nft insert rule inet filter output ip daddr 192.168.200.22 accept"}}})},
		{name: "answer refused by IPsec", s: tell(probe.SideA).calls().
			kernel(evidence.FromWire, evidence.Traversal{Passed: "input", XfrmBlocks: policy})},
		{name: "reply refused by IPsec", s: reply().kernel(evidence.FromTunnel, evidence.Traversal{Passed: "input", XfrmBlocks: policy})},
		{name: "answers leave elsewhere", s: edited(tell(probe.SideB).called().after(5*time.Second).called().
			kernel(evidence.FromWire, evidence.Traversal{In: "eth1"}),
			func(s *story) { s.Peer.Route = evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth0"} })},
		{name: "answers leave elsewhere, by a rule", s: edited(tell(probe.SideB).called().after(5*time.Second).called().
			kernel(evidence.FromWire, evidence.Traversal{In: "eth0"}), func(s *story) { s.Peer.Route = byRule })},
		{name: "reply astray", s: tell(probe.SideB).comesIn().kernel(evidence.ToTunnel,
			evidence.Traversal{In: "lan0", Src: target, Dst: here, Passed: "postrouting", Out: "wg0"})},
		{name: "answer routed elsewhere by a rule", s: tell(probe.SideB).comesIn().
			kernel(evidence.FromTunnel, evidence.Traversal{Passed: "postrouting", Out: "lan0"}).
			kernel(evidence.ToTunnel, evidence.Traversal{Passed: "postrouting", In: "lan0", Route: byRule})},
		{name: "source filtered, way back elsewhere", s: tell(probe.SideB).comesIn().
			kernel(evidence.FromTunnel, evidence.Traversal{Lost: "prerouting",
				Source: &evidence.SourceCheck{Drops: true, Back: evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth1",
					Beatable: true}}})},
		{name: "source not known, and disallowed", s: tell(probe.SideB).called().
			add(probe.Event{Kind: probe.KindData, Reason: probe.DisallowedSource, Checkpoint: probe.B3})},
		{name: "reply not forwarded", s: tell(probe.SideB).comesIn().
			kernel(evidence.FromTunnel, evidence.Traversal{Passed: "postrouting", Out: "lan0"}).
			kernel(evidence.ToTunnel, evidence.Traversal{Lost: "prerouting", In: "lan0",
				Route:      evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "wg0"},
				Forwarding: &evidence.Forwarding{Fix: []string{"sysctl -w net.ipv4.ip_forward=1"}}})},
	}
}

// Fixes that no other table has: what they depend on beside the cause.
func TestFixes(t *testing.T) {
	fixes := make(fixtest.Fixes)
	for _, c := range slices.Concat(fixesOutward(), fixesInside()) {
		c.s.Since = now.Add(-9 * time.Second)
		addFix(t, fixes, c.name, c.s.Facts)
	}
	fixes.Compare(t, "testdata/fixes/more.json")
}
