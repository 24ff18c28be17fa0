//go:build linux

package routing

import (
	"cmp"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAsIP compares rules and routes with what ip(8) prints.
func TestAsIP(t *testing.T) {
	ownNamespace(t, slices.Concat(fullTunnel, []string{
		"-6 address add fd00::1/64 dev eth0 nodad",
		"rule add pref 10 from 10.0.0.0/8 to 192.0.2.1 iif lo fwmark 0x10/0xf0 lookup 7",
		"rule add pref 11 not from 10.0.0.1 oif gone uidrange 5-6 ipproto tcp sport 10-20 dport 80 goto 32766",
		"rule add pref 12 nop", "rule add pref 13 fwmark 3 unreachable",
		"-6 rule add pref 14 from fd00::/8 tos 0x10 ipproto udp lookup main suppress_prefixlength 3 suppress_ifgroup 7",
		"route add 10.1.0.0/16 via inet6 fd00::9 dev eth0 table 7 mtu 1400 metric 3",
		"route add 10.2.0.0/16 via 10.99.0.1 dev eth0 onlink tos 0x10 src 192.168.178.48",
		"route add throw 10.3.0.0/16 proto static", "route add 10.4.0.0/16 nexthop via 192.168.178.3 dev eth0 weight 2 nexthop dev wg0 weight 1",
		"-6 route add fd04::/64 via fd00::7 pref high", "-6 route add prohibit fd05::/64", "-6 route add fd06::/64 from fd00::/64 dev wg0",
		"-6 route add fd07::/64 nexthop via fd00::7 weight 2 nexthop via fd00::8",
	})...)
	settle(t, "eth0")
	s := take(t)
	for _, ipv6 := range []bool{false, true} {
		family := ipCommand(ipv6)[3:]
		var rules, routes []string
		for _, r := range s.rules(ipv6) {
			rules = append(rules, r.String())
		}
		for _, table := range s.reachable(ipv6) {
			for _, r := range s.Routes(ipv6, table) {
				routes = append(routes, r.String())
			}
		}
		compareWithIP(t, rules, family, "rule")
		compareWithIP(t, routes, family, "route", "show", "table", "all")
	}
}

func compareWithIP(t *testing.T, got []string, args ...string) {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip: %v: %s", err, out)
	}
	// ip(8) writes several ways each on a line of their own, and what goes without
	// saying.
	text := strings.ReplaceAll(string(out), "\n\tnexthop", " nexthop")
	obvious := strings.NewReplacer(" metric 0 pref medium", "", " pref medium", "")
	var want []string
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		want = append(want, obvious.Replace(strings.Join(strings.Fields(line), " ")))
	}
	// Link-local addresses come when the kernel has made sure that they are unique.
	linkLocal := func(line string) bool { return strings.Contains(line, "fe80::") }
	got, want = slices.DeleteFunc(got, linkLocal), slices.DeleteFunc(want, linkLocal)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("ip %v:\ngot\n\t%s\nwant\n\t%s", args, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// TestVRF needs no kernel with VRFs: its snapshot is written by hand.
func TestVRF(t *testing.T) {
	red := &Link{Index: 10, Name: "red", Kind: "vrf", vrf: 100}
	blue := &Link{Index: 2, Name: "eth0", Master: "red", master: 10}
	other := &Link{Index: 3, Name: "eth1"}
	s := &Snapshot{
		links:  map[int]*Link{1: {Index: 1, Name: "lo", loopback: true}, 2: blue, 3: other, 10: red},
		tables: make(map[tableID]*table),
		Rules4: []Rule{
			{Priority: 0, Action: actionTable, Table: Local, UIDs: everyUID, SuppressPrefix: -1, SuppressGroup: -1},
			{Priority: 1000, L3Mdev: true, Action: actionTable, UIDs: everyUID, SuppressPrefix: -1, SuppressGroup: -1},
			{Priority: 32766, Action: actionTable, Table: Main, UIDs: everyUID, SuppressPrefix: -1, SuppressGroup: -1},
		},
	}
	for id, dev := range map[Table]*Link{100: blue, Main: other} {
		tab := &table{first: make(map[netip.Prefix]ends)}
		tab.add(Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Type: TypeUnicast, Table: id, protocol: unix.RTPROT_BOOT, next: -1,
			Hops: []Hop{{Link: dev.Index, Dev: dev.Name}}})
		tab.index()
		s.tables[tableID{false, id}] = tab
	}
	for _, tc := range []struct {
		flow Flow
		out  string
		step string // what became of the VRF's rule
	}{
		{Flow{}, "eth1", "1000: from all lookup [l3mdev-table]: does not apply: belongs to no VRF"},
		{Flow{OIF: "red"}, "eth0", "1000: from all lookup [l3mdev-table] -> default dev eth0 table 100"},
		{Flow{OIF: "eth0"}, "eth0", "1000: from all lookup [l3mdev-table] -> default dev eth0 table 100"},
		{Flow{IIF: "eth0"}, "eth0", "1000: from all lookup [l3mdev-table] -> default dev eth0 table 100"},
		{Flow{IIF: "eth1"}, "eth1", "1000: from all lookup [l3mdev-table]: does not apply: belongs to no VRF"},
	} {
		tc.flow.Dst = addr("9.9.9.9")
		w := s.Walk(tc.flow)
		if got := w.Steps[1].String(); w.Decision.OutLink() != tc.out || got != tc.step {
			t.Errorf("%s: out of %q, want %q\n got %s\nwant %s", tc.flow, w.Decision.OutLink(), tc.out, got, tc.step)
		}
	}

	// Table local behind the VRF's rule, as for VRFs that are to be apart: the VRF's table
	// takes what is for this host's own address of no VRF.
	local := &table{first: make(map[netip.Prefix]ends)}
	local.add(Route{Dst: netip.MustParsePrefix("9.9.9.9/32"), Type: TypeLocal, Table: Local, next: -1, Hops: []Hop{{Link: 3, Dev: "eth1"}}})
	local.index()
	s.tables[tableID{false, Local}] = local
	for _, first := range []bool{true, false} {
		want := ""
		if !first {
			want = "ip -4 rule add pref 999 to 9.9.9.9 lookup local"
			s.Rules4[0].Priority = 2000
			slices.SortFunc(s.Rules4, func(a, b Rule) int { return cmp.Compare(a.Priority, b.Priority) })
		}
		w := s.Walk(Flow{Dst: addr("9.9.9.9"), IIF: "eth0"})
		if r := s.Evidence(&w); r.LocalFirst != want {
			t.Errorf("table local first %t: %q, want %q", first, r.LocalFirst, want)
		}
	}
}

func TestRestricted(t *testing.T) {
	ownNamespace(t, slices.Concat(fullTunnel, []string{"route add 10.8.0.0/16 dev wg0", "route add 10.9.0.0/16 dev wg0",
		"route add 10.9.0.0/16 dev wg0 table 4711"})...)
	if n := len(take(t).Routes(false, 4711)); n != 0 {
		t.Errorf("%d routes of a table that no rule leads into", n)
	}
	s, err := Take(Options{Only: []netip.Addr{addr("10.9.1.1")}})
	if err != nil {
		t.Fatal(err)
	}
	verified(t, s, Flow{Dst: addr("10.9.1.1")})
	if slices.ContainsFunc(s.Routes(false, Main), func(r Route) bool { return r.Dst.Addr() == addr("10.8.0.0") }) {
		t.Error("holds a route that was not asked for")
	}
	if w := s.Walk(Flow{Dst: addr("10.8.1.1")}); w.Doubt == "" {
		t.Error("no doubt about an address that the snapshot was not taken for")
	}
	if typ, _ := s.AddrType(addr("192.168.178.48")); typ != TypeLocal {
		t.Errorf("the host's own address is %s", typ)
	}
}
