package rules

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// A rule ahead of table local takes the packet wherever it goes, unless it has come to the
// input hook.
func TestOverruled(t *testing.T) {
	taken := func(p evidence.Traversal, kind evidence.RouteKind) evidence.Traversal {
		p.Packets, p.In = 1, "wg0"
		p.Route = evidence.RouteDecision{Kind: kind, Interface: "lan", Text: "default dev lan table 77", By: "100: from all lookup 77",
			Overruled: "local 192.168.200.22 dev wg0", LocalFirst: "ip -4 rule add pref 99 to 192.168.200.22 lookup local"}
		return p
	}
	zero := taken(evidence.Traversal{Lost: "prerouting"}, evidence.RouteProhibited)
	zero.Route.LocalFirst = "ip -4 rule del pref 0 lookup 77"
	for _, c := range []kernelCase{
		{"forwarded", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, taken(evidence.Traversal{Passed: "postrouting"},
			evidence.RouteFound)),
			diagnose.LocalTableBypassed, probe.B7, true, "out of lan by policy rule 100"},
		{"prohibited", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, taken(evidence.Traversal{Lost: "prerouting"},
			evidence.RouteProhibited)), diagnose.LocalTableBypassed, probe.B7, true, "nowhere (a prohibit route)"},
		{"with priority 0", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, zero), diagnose.LocalTableBypassed, probe.B7, true,
			"nothing comes before priority 0"},
		{"of a handshake", tell(probe.SideA).calls().kernel(evidence.FromWire, taken(evidence.Traversal{Lost: "prerouting"},
			evidence.RouteProhibited)), diagnose.LocalTableBypassed, probe.A3, true, "encrypted packets"},
		{"taken in all the same", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, taken(evidence.Traversal{Passed: "input"},
			evidence.RouteProhibited)), diagnose.NoReplyFromDestination, probe.B7, false, ""},
		{"its way not seen", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, taken(evidence.Traversal{}, evidence.RouteFound)),
			diagnose.NoReplyFromDestination, probe.B7, false, ""},
	} {
		v, _ := c.s.judge()
		all := strings.Join(slices.Concat([]string{v.Summary}, evidence.Texts(v.Evidence), v.Fix.Lines()), "\n")
		if v.Code != c.code || v.Checkpoint != c.at || v.Certain != c.sure || !strings.Contains(all, c.says) {
			t.Errorf("%s: %s at %s, certain %v\n%s", c.name, v.Code, v.Checkpoint, v.Certain, all)
		}
	}
}

// IPv6 that is off is mended first, and then what was lost by it.
func TestNoIPv6(t *testing.T) {
	dst := netip.MustParseAddrPort("[fd00:200::22]:80")
	for _, c := range []struct {
		name string
		s    *story
		code diagnose.Code
	}{
		{"not routed", tell(probe.SideA), diagnose.DestNotRouted},
		{"dropped", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, dropped("IPV6DISABLED", "ip6_rcv_core",
			func(d *evidence.KernelDrop) { d.Device = "wg0" })), diagnose.IPv6Disabled},
	} {
		c.s.Flow.Target = dst
		if c.code == diagnose.DestNotRouted {
			c.s.Flow.Route = evidence.RouteDecision{Kind: evidence.RouteNone}
		}
		c.s.Missing = []netip.Prefix{netip.MustParsePrefix("fd0a::1/64")}
		c.s.NoIPv6, c.s.EnableIPv6 = "net.ipv6.conf.wg0.disable_ipv6 = 1", "sysctl -w net.ipv6.conf.wg0.disable_ipv6=0"
		v, _ := c.s.judge()
		if fix := v.Fix.Lines(); v.Code != c.code || !v.Certain || len(fix) < 2 || fix[0] != c.s.EnableIPv6 ||
			fix[1] != "ip address add fd0a::1/64 dev wg0" {
			t.Errorf("%s: %s, certain %v\n%s", c.name, v.Code, v.Certain, strings.Join(fix, "\n"))
		}
	}
}

// The source of this host's own packets is looked at; one that others chose, or that is the
// interface's, is not blamed.
func TestForeignSource(t *testing.T) {
	for _, c := range []struct {
		name, address string
		probed, want  bool
	}{
		{name: "another link's", address: "10.0.0.9/24", probed: true, want: true},
		{name: "the interface's", address: here.Addr().String() + "/24", probed: true},
		{name: "another host's", address: "10.0.0.9/24"},
		{name: "of another family", address: "fd0a::9/64", probed: true},
	} {
		s := tell(probe.SideA).connects().asks()
		s.Addresses, s.Flow.Probe.Sent = []netip.Prefix{netip.MustParsePrefix(c.address)}, c.probed
		v, _ := s.judge()
		if got := slices.Contains(v.Fix.Lines(), "ip route replace 192.168.200.22/32 dev wg0 src 10.0.0.9"); v.Code != diagnose.NoReply ||
			got != c.want || v.Candidates[0].Code != diagnose.DisallowedSource && c.want {
			t.Errorf("%s: %s\n%s", c.name, v.Code, strings.Join(v.Fix.Lines(), "\n"))
		}
	}
}
