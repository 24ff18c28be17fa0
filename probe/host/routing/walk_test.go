//go:build linux

package routing

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// fullTunnel is what wg-quick sets up for AllowedIPs = 0.0.0.0/0, with a veth for
// the tunnel.
var fullTunnel = []string{
	"link add eth0 type veth peer name router", "link set router up", "link set eth0 up",
	"link add wg0 mtu 1420 type veth peer name wg", "link set wg up", "link set wg0 up",
	"address add 192.168.178.48/24 dev eth0", "address add 10.0.0.1/24 dev wg0",
	"route add default via 192.168.178.1 dev eth0 proto dhcp metric 600",
	"route add 0.0.0.0/0 dev wg0 table 51820",
	"rule add pref 32764 table main suppress_prefixlength 0",
	"rule add pref 32765 not fwmark 51820 table 51820",
}

// walkTests are flows, and the account of how each is routed.
var walkTests = []struct {
	name string
	do   []string // besides fullTunnel
	flow Flow
	want []string // the steps, and the decision
}{
	{name: "full tunnel", flow: Flow{Dst: addr("9.9.9.9")}, want: []string{
		"0: from all lookup local -> no route",
		"32764: from all lookup main suppress_prefixlength 0 -> default via 192.168.178.1 dev eth0 proto dhcp metric 600: " +
			"suppressed: prefix length 0 <= 0",
		"32765: not from all fwmark 0xca6c lookup 51820: applies: mark 0x0 is not 0xca6c -> default dev wg0 table 51820 scope link",
		"ip -4 route get 9.9.9.9: default dev wg0 table 51820 scope link, by rule 32765: not from all fwmark 0xca6c lookup 51820",
	}},
	{name: "the encrypted packet", flow: Flow{Dst: addr("123.123.123.123"), Proto: 17, SPort: 51820, DPort: 51820,
		Mark: 51820}, want: []string{
		"0: from all lookup local -> no route",
		"32764: from all lookup main suppress_prefixlength 0 -> default via 192.168.178.1 dev eth0 proto dhcp metric 600: " +
			"suppressed: prefix length 0 <= 0",
		"32765: not from all fwmark 0xca6c lookup 51820: does not apply: the rule excepts fwmark 0xca6c",
		"32766: from all lookup main -> default via 192.168.178.1 dev eth0 proto dhcp metric 600",
		"ip -4 route get 123.123.123.123 mark 0xca6c ipproto udp sport 51820 dport 51820: default via 192.168.178.1 dev " +
			"eth0 proto dhcp metric 600, by rule 32766: from all lookup main",
	}},
	{name: "a route that bypasses the tunnel", do: []string{"route add 9.9.9.0/24 via 192.168.178.1 dev eth0"},
		flow: Flow{Dst: addr("9.9.9.9")}, want: []string{
			"0: from all lookup local -> no route",
			"32764: from all lookup main suppress_prefixlength 0 -> 9.9.9.0/24 via 192.168.178.1 dev eth0",
			"ip -4 route get 9.9.9.9: 9.9.9.0/24 via 192.168.178.1 dev eth0, by rule 32764: from all lookup main suppress_prefixlength 0",
		}},
	{name: "a blackhole is not suppressed", do: []string{"route del default", "route add blackhole default"},
		flow: Flow{Dst: addr("9.9.9.9")}, want: []string{
			"0: from all lookup local -> no route",
			"32764: from all lookup main suppress_prefixlength 0 -> blackhole default",
			"ip -4 route get 9.9.9.9: blackhole default, by rule 32764: from all lookup main suppress_prefixlength 0",
		}},
	{name: "a prohibit rule", do: []string{"rule add pref 100 from all uidrange 1000-1999 prohibit"},
		flow: Flow{Dst: addr("9.9.9.9"), UID: 1234}, want: []string{
			"0: from all lookup local -> no route",
			"100: from all uidrange 1000-1999 prohibit",
			"ip -4 route get 9.9.9.9 uid 1234: prohibit, by rule 100: from all uidrange 1000-1999 prohibit",
		}},
	{name: "throw and goto", do: []string{
		"rule add pref 100 goto 200", "rule add pref 150 blackhole", "rule add pref 200 to 9.0.0.0/8 lookup 7",
		"route add throw 9.9.0.0/16 table 7", "route add 9.0.0.0/8 dev eth0 table 7",
	}, flow: Flow{Dst: addr("9.9.9.9"), Src: addr("10.0.0.1")}, want: []string{
		"0: from all lookup local -> no route",
		"100: from all goto 200",
		"200: from all to 9.0.0.0/8 lookup 7 -> throw 9.9.0.0/16 table 7: on to the next rule",
		"32764: from all lookup main suppress_prefixlength 0 -> default via 192.168.178.1 dev eth0 proto dhcp metric 600: " +
			"suppressed: prefix length 0 <= 0",
		"32765: not from all fwmark 0xca6c lookup 51820: applies: mark 0x0 is not 0xca6c -> default dev wg0 table 51820 scope link",
		"ip -4 route get 9.9.9.9 from 10.0.0.1: default dev wg0 table 51820 scope link, by rule 32765: not from all fwmark 0xca6c lookup 51820",
	}},
	{name: "no route at all", do: []string{"rule del pref 32765", "route del default"}, flow: Flow{Dst: addr("9.9.9.9")}, want: []string{
		"0: from all lookup local -> no route",
		"32764: from all lookup main suppress_prefixlength 0 -> no route",
		"32766: from all lookup main -> no route",
		"32767: from all lookup default -> no route",
		"ip -4 route get 9.9.9.9: no route",
	}},
	{name: "this host", flow: Flow{Dst: addr("10.0.0.1")}, want: []string{
		"0: from all lookup local -> local 10.0.0.1 dev wg0 table local proto kernel scope host src 10.0.0.1",
		"ip -4 route get 10.0.0.1: local 10.0.0.1 dev wg0 table local proto kernel scope host src 10.0.0.1, by rule 0: from all lookup local",
	}},
	{name: "several ways", do: []string{"route add 9.9.9.0/24 nexthop via 192.168.178.1 dev eth0 weight 2 nexthop dev wg0"},
		flow: Flow{Dst: addr("9.9.9.9")}, want: []string{
			"0: from all lookup local -> no route",
			"32764: from all lookup main suppress_prefixlength 0 -> 9.9.9.0/24 nexthop via 192.168.178.1 dev eth0 weight 2 nexthop dev wg0 weight 1",
			"ip -4 route get 9.9.9.9: 9.9.9.0/24 nexthop via 192.168.178.1 dev eth0 weight 2 nexthop dev wg0 weight 1, by rule " +
				"32764: from all lookup main suppress_prefixlength 0",
		}},
	{name: "a next hop object", do: []string{"nexthop add id 5 via 192.168.178.9 dev eth0", "route add 9.9.9.0/24 nhid 5"},
		flow: Flow{Dst: addr("9.9.9.9")}, want: []string{
			"0: from all lookup local -> no route",
			"32764: from all lookup main suppress_prefixlength 0 -> 9.9.9.0/24 nhid 5 via 192.168.178.9 dev eth0",
			"ip -4 route get 9.9.9.9: 9.9.9.0/24 nhid 5 via 192.168.178.9 dev eth0, by rule 32764: from all lookup main suppress_prefixlength 0",
		}},
	{name: "a socket bound to the uplink", flow: Flow{Dst: addr("9.9.9.9"), OIF: "eth0"}, want: []string{
		"0: from all lookup local -> no route",
		"32764: from all lookup main suppress_prefixlength 0 -> default via 192.168.178.1 dev eth0 proto dhcp metric 600: " +
			"suppressed: prefix length 0 <= 0",
		"32765: not from all fwmark 0xca6c lookup 51820: applies: mark 0x0 is not 0xca6c -> no route",
		"32766: from all lookup main -> default via 192.168.178.1 dev eth0 proto dhcp metric 600",
		"ip -4 route get 9.9.9.9 oif eth0: default via 192.168.178.1 dev eth0 proto dhcp metric 600, by rule 32766: from all lookup main",
	}},
}

func TestWalk(t *testing.T) {
	for _, tc := range walkTests {
		t.Run(tc.name, func(t *testing.T) {
			ownNamespace(t, slices.Concat(fullTunnel, tc.do)...)
			w := verified(t, take(t), tc.flow)
			got := account(&w)
			if !slices.Equal(got, tc.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tc.want, "\n\t"))
			}
		})
	}
}

func TestLinkWithoutCarrier(t *testing.T) {
	ownNamespace(t, "link add eth0 type veth peer name off", "link set eth0 up", "address add 192.0.2.1/24 dev eth0",
		"route add default via 192.0.2.254")
	flow := Flow{Dst: addr("9.9.9.9")}
	w := verified(t, take(t), flow)
	if w.Decision.OutLink() != "eth0" || !w.Decision.Hops[0].LinkDown {
		t.Errorf("a link without carrier is used unless told otherwise: %v", w.Decision)
	}
	sysctl(t, "net.ipv4.conf.eth0.ignore_routes_with_linkdown", "1")
	w = verified(t, take(t), flow)
	want := "32766: from all lookup main -> no route: not used: default via 192.0.2.254 dev eth0 dead linkdown"
	if w.Decision.Type != TypeNone || w.Steps[1].String() != want {
		t.Errorf("got %s, %s\nwant %s", &w.Decision, w.Steps[1].String(), want)
	}
	ip(t, "link set eth0 down")
	w = verified(t, take(t), flow)
	if w.Decision.Type != TypeNone {
		t.Errorf("a link that is down is used: %s", &w.Decision)
	}
}

func TestDecision(t *testing.T) {
	ownNamespace(t, slices.Concat(fullTunnel, []string{"route change default via 192.168.178.1 dev eth0 mtu 1300 metric 600",
		"address add 192.168.178.49/24 dev eth0"})...)
	w := verified(t, take(t), Flow{Dst: addr("123.123.123.123"), Mark: 51820})
	d := w.Decision
	if d.OutLink() != "eth0" || d.gateway() != addr("192.168.178.1") || d.PrefSrc != addr("192.168.178.48") ||
		d.MTU != 1300 || d.Table != Main || d.Rule.Priority != 32766 {
		t.Errorf("%+v", d)
	}
	// What is said without the kernel's help is the same.
	if s := take(t).Walk(w.Flow).Decision; s.PrefSrc != d.PrefSrc || s.MTU != d.MTU {
		t.Errorf("unverified: source %s, MTU %d", s.PrefSrc, s.MTU)
	}
	if got, want := d.Delete(), "ip -4 route del default via 192.168.178.1 dev eth0 metric 600"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestDelete follows the advice, and finds the route or rule gone.
func TestDelete(t *testing.T) {
	ownNamespace(t, slices.Concat(fullTunnel, []string{
		"-6 address add fd00::1/64 dev eth0 nodad",
		"route add 9.9.9.0/24 via 192.168.178.1 dev eth0 tos 0x10 metric 5", "route add blackhole 8.8.8.8 table 51820",
		"rule add pref 50 to 7.7.7.7 unreachable",
		"-6 route add unreachable fd01::/64 metric 7", "-6 route add fd02::/64 via fd00::9 table 9", "-6 rule add pref 60 lookup 9"})...)
	settle(t, "eth0")
	for _, f := range []Flow{
		{Dst: addr("9.9.9.9"), TOS: 0x10}, {Dst: addr("8.8.8.8")}, {Dst: addr("7.7.7.7")}, {Dst: addr("fd01::1")}, {Dst: addr("fd02::1")},
	} {
		w := verified(t, take(t), f)
		command := w.Decision.Delete()
		args := strings.Fields(command)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", command, err, out)
			continue
		}
		after := verified(t, take(t), f)
		if after.Decision.String() == w.Decision.String() {
			t.Errorf("after %s still %s", command, &w.Decision)
		}
	}
}

// TestAround leads the encrypted packets out of the tunnel that swallows them.
func TestAround(t *testing.T) {
	ownNamespace(t, slices.Concat(fullTunnel, []string{"rule del pref 32765", "rule add pref 32765 lookup 51820"})...)
	s := take(t)
	flow := Flow{Dst: addr("123.123.123.123"), Mark: 51820}
	if w := verified(t, s, flow); w.Decision.OutLink() != "wg0" {
		t.Fatalf("not in the tunnel: %s", &w.Decision)
	}
	const want = "ip -4 route add 123.123.123.123 via 192.168.178.1 dev eth0"
	if got := s.Around(flow.Dst, "wg0"); got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	follow(t, want)
	if w := verified(t, take(t), flow); w.Decision.OutLink() != "eth0" {
		t.Errorf("still %s", &w.Decision)
	}
	if got := s.Around(flow.Dst, "eth0"); got != "ip -4 route add 123.123.123.123 dev wg0" {
		t.Errorf("past eth0: %q", got)
	}
	ip(t, "route del default", "route del 123.123.123.123")
	if got := take(t).Around(flow.Dst, "wg0"); got != "" {
		t.Errorf("without another way: %q", got)
	}
}

// TestEqualMetrics: among IPv6 routes of one prefix and metric the link that is
// asked for counts, the one that a forwarded packet came in by too, and before
// both the preference of the router.
func TestEqualMetrics(t *testing.T) {
	ownNamespace(t, slices.Concat(fullTunnel, []string{
		"-6 address add fd00::1/64 dev eth0 nodad", "-6 address add fd00:1::1/64 dev wg0 nodad",
		"-6 route add fd01::/64 dev eth0 metric 5", "-6 route append fd01::/64 dev wg0 metric 5",
		"-6 route add fd02::/64 dev eth0 metric 5", "-6 route append fd02::/64 dev wg0 metric 5 pref high",
		"-6 route add fd03::/64 dev eth0 metric 5 pref low", "-6 route append fd03::/64 dev wg0 metric 5",
		"-6 route add fd04::/64 dev eth0 metric 5", "-6 route append fd04::/64 dev wg0 metric 6 pref high",
	})...)
	settle(t, "eth0", "wg0")
	sysctl(t, "net.ipv6.conf.all.forwarding", "1")
	s := take(t)
	for dst, want := range map[string]map[Flow]string{
		"fd01::1": {{}: "eth0", {OIF: "wg0"}: "wg0", {OIF: "wg0", Src: addr("fd00::1")}: "wg0", {IIF: "wg0"}: "wg0", {IIF: "eth0"}: "eth0"},
		"fd02::1": {{}: "wg0", {OIF: "eth0"}: "eth0", {OIF: "eth0", Src: addr("fd00::1")}: "wg0", {IIF: "eth0"}: "wg0"},
		"fd03::1": {{}: "wg0", {IIF: "eth0"}: "wg0"},
		"fd04::1": {{}: "eth0", {OIF: "wg0"}: "wg0", {OIF: "wg0", Src: addr("fd00::1")}: "eth0"},
	} {
		for f, link := range want {
			f.Dst = addr(dst)
			if w := verified(t, s, f); w.Decision.OutLink() != link {
				t.Errorf("%s: out of %s, want %s", f, w.Decision.OutLink(), link)
			}
		}
	}
}

// TestUntoldNextHops: where the kernel tells only the id of a next hop object, the
// way is doubted until the kernel is asked.
func TestUntoldNextHops(t *testing.T) {
	ownNamespace(t, slices.Concat(fullTunnel, []string{
		"-6 address add fd00::1/64 dev eth0 nodad",
		"nexthop add id 5 via 192.168.178.9 dev eth0", "route add 9.9.9.0/24 nhid 5",
		"-6 nexthop add id 6 via fd00::9 dev eth0", "-6 route add fd09::/64 nhid 6"})...)
	settle(t, "eth0")
	sysctl(t, "net.ipv4.nexthop_compat_mode", "0")
	s := take(t)
	for dst, gateway := range map[string]string{"9.9.9.9": "192.168.178.9", "fd09::1": "fd00::9"} {
		w := s.Walk(Flow{Dst: addr(dst)})
		if w.Doubt == "" || w.Decision.OutLink() != "" {
			t.Errorf("%s: no doubt: %+v", dst, w)
		}
		if w = verified(t, s, w.Flow); w.Decision.OutLink() != "eth0" || w.Decision.gateway() != addr(gateway) {
			t.Errorf("%s: %+v", dst, w.Decision)
		}
	}
}

func TestBadFlow(t *testing.T) {
	s := &Snapshot{}
	for _, f := range []Flow{{}, {Src: addr("10.0.0.1"), Dst: addr("fd00::1")}, {Dst: addr("10.0.0.1"), OIF: "gone"},
		{Dst: addr("10.0.0.1"), IIF: "gone"}} {
		w := s.Walk(f)
		if w.Doubt == "" {
			t.Errorf("%+v: no doubt", f)
		}
		if err := s.Verify(&w); err == nil {
			t.Errorf("%+v: no error", f)
		}
		if rp := s.reversePath(f); rp.Doubt == "" {
			t.Errorf("%+v: no doubt about the way back", f)
		}
	}
}

// TestUnexplained has the routes change behind the snapshot's back: the kernel's
// word counts, and no rule is blamed for it.
func TestUnexplained(t *testing.T) {
	ownNamespace(t, fullTunnel...)
	s := take(t)
	ip(t, "route add 9.9.9.9 via 192.168.178.1")
	w := s.Walk(Flow{Dst: addr("9.9.9.9")})
	if err := s.Verify(&w); err != nil {
		t.Fatal(err)
	}
	if w.Verified || w.Unexplained == "" || w.Decision.Rule != nil || w.Decision.OutLink() != "eth0" ||
		w.Decision.gateway() != addr("192.168.178.1") {
		t.Errorf("%+v", w)
	}
	if lines := account(&w); len(lines) != 2 || !strings.Contains(lines[1], "do not explain") {
		t.Errorf("evidence %q", lines)
	}
	if _, w, err := Explain(Flow{Dst: addr("9.9.9.9")}); err != nil || !w.Verified {
		t.Errorf("explained anew: %v, %+v", err, w)
	}
}

// account is how a decision came about, and the decision.
func account(w *Walk) []string {
	var lines []string
	if w.Unexplained == "" {
		lines = w.tried()
	}
	lines = append(lines, w.Flow.String()+": "+w.Decision.String())
	for _, s := range []string{w.Unexplained, w.Doubt, w.Refused} {
		if s != "" {
			lines = append(lines, s)
		}
	}
	return lines
}
