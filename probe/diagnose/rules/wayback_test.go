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
)

// Answers to an address that a peer is to be allowed are led into the tunnel, and nothing of
// what leads others elsewhere is taken away for that.
func TestWayBack(t *testing.T) {
	gateway := netip.MustParseAddr("192.0.2.254")
	elsewhere := evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth0", Gateway: gateway, Remove: "ip rule del pref 100",
		By: "100: from all lookup 100"}
	beatable, ahead, link, own := elsewhere, elsewhere, elsewhere, elsewhere
	beatable.Beatable = true
	ahead.Ahead = []evidence.RuleAhead{{Interface: "wg0", Command: "ip rule add pref 99 to 10.9.9.9 lookup main"}}
	link.Gateway, link.Remove = netip.Addr{}, ""
	own.Local, own.Interface, own.Remove = true, "lo", ""
	for _, c := range []struct {
		name string
		back *evidence.RouteDecision
		want string
	}{
		{name: "not known", want: "wg set"},
		{name: "into the tunnel", back: &evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "wg0"}, want: "wg set"},
		{name: "past it", back: &beatable, want: "ip route add 10.9.9.9/32 dev wg0"},
		{name: "by a rule", back: &elsewhere, want: "# answers to 10.9.9.9 would not come back through wg0, by 100: from all lookup 100"},
		{name: "by a rule that another beats", back: &ahead, want: "ip rule add pref 99 to 10.9.9.9 lookup main"},
		{name: "on a link", back: &link, want: "# but answers to 10.9.9.9 leave by eth0"},
		{name: "this host's own", back: &own, want: "# make bob send from its address in the tunnel"},
	} {
		s := tell(probe.SideB).add(probe.Event{Kind: probe.KindData, Reason: probe.DisallowedSource, Checkpoint: probe.B3,
			InnerSrc: probe.AddrFrom(netip.MustParseAddr("10.9.9.9"))})
		s.Back = c.back
		v, _ := s.judge()
		lines := v.Fix.Lines()
		if v.Code != diagnose.DisallowedSource || !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, c.want) }) {
			t.Errorf("%s: %s, %q is not in %q", c.name, v.Code, c.want, lines)
		}
		if strings.Contains(strings.Join(lines, "\n"), " del ") {
			t.Errorf("%s: something is taken away: %q", c.name, lines)
		}
	}
}

// Forwarding that is on is not what a packet was dropped for, whatever reason the kernel gives.
func TestForwardingIsOn(t *testing.T) {
	for _, on := range []bool{false, true} {
		drop := dropped("IP_INADDRERRORS", "ip6_forward", func(d *evidence.KernelDrop) { d.At = now.Add(-time.Minute) })
		drop.Forwarding = &evidence.Forwarding{On: on, Evidence: "forwarding"}
		v, _ := tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, drop).judge()
		if (v.Code == diagnose.ForwardingDisabled) == on {
			t.Errorf("forwarding is on: %v, and the verdict is %s: %s", on, v.Code, v.Summary)
		}
	}
}
