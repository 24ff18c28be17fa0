//go:build linux

package routing

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// What a decision can be taken away by is told, but not where that is what makes an address
// this host's own.
func TestEvidenceRemovesNoOwnAddress(t *testing.T) {
	for _, c := range []struct {
		name  string
		table Table
		kind  Type
		want  string
	}{
		{name: "own address", table: Local, kind: TypeLocal},
		{name: "broadcast", table: Local, kind: TypeBroadcast},
		{name: "another table", table: 51820, kind: TypeUnicast, want: "ip -4 route del 10.0.0.1 table 51820"},
	} {
		r := &Route{Dst: netip.MustParsePrefix("10.0.0.1/32"), Table: c.table, Type: c.kind}
		got := new(Snapshot).Evidence(&Walk{Decision: Decision{Type: c.kind, Table: c.table, Route: r}}).Remove
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// What is for this host itself and led elsewhere by a rule ahead of table local is told, with
// what has that table asked first; what is not, or is led there by a later rule, is none.
func TestOverruled(t *testing.T) {
	const own, other = "192.168.178.48", "9.9.9.9"
	for _, c := range []struct {
		name  string
		rules []string
		dst   string
		want  string // the fix; "" for none
	}{
		{name: "as it is by default", dst: own},
		{name: "a rule ahead of it", rules: []string{"rule add pref 100 iif eth0 prohibit"}, dst: own,
			want: "ip -4 rule add pref 99 to " + own + " lookup local"},
		{name: "a rule ahead of it, for another host", rules: []string{"rule add pref 100 iif eth0 prohibit"}, dst: other},
		{name: "a rule behind it", rules: []string{"rule add pref 501 iif eth0 prohibit"}, dst: own},
		{name: "one with priority 0", rules: []string{"rule add pref 0 iif eth0 prohibit"}, dst: own,
			want: "ip -4 rule del pref 0 from all iif eth0 prohibit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ownNamespace(t, slices.Concat(fullTunnel, []string{"rule add pref 500 lookup local", "rule del pref 0"}, c.rules)...)
			sysctl(t, "net.ipv4.conf.all.forwarding", "1")
			s := take(t)
			f := Flow{Src: addr("192.168.178.1"), Dst: addr(c.dst), IIF: "eth0"}
			w := verified(t, s, f)
			r := s.Evidence(&w)
			if r.LocalFirst != c.want || (r.Overruled == "") != (c.want == "") {
				t.Fatalf("%+v", r)
			}
			if c.want != "" {
				follow(t, r.LocalFirst)
				if w := verified(t, take(t), f); w.Decision.Type != TypeLocal {
					t.Errorf("after it: %s", w.Decision.String())
				}
			}
		})
	}
}

// IPv6 is off on a link by its setting, or by its MTU.
func TestNoIPv6(t *testing.T) {
	for _, c := range []struct{ do, fix string }{
		{do: "link set far up"},
		{do: "link set far mtu 1279", fix: "ip link set far mtu 1280"},
		{do: "link set far alias off", fix: "sysctl -w net.ipv6.conf.far.disable_ipv6=0"},
	} {
		ownNamespace(t, "link add near type veth peer name far", c.do)
		if strings.Contains(c.do, "alias") {
			sysctl(t, "net.ipv6.conf.far.disable_ipv6", "1")
		}
		far := func() (string, string) { return take(t).Link("far").NoIPv6() }
		if why, fix := far(); fix != c.fix || (why == "") != (fix == "") {
			t.Errorf("%s: %q, fix %q, want %q", c.do, why, fix, c.fix)
		}
		if c.fix != "" {
			follow(t, c.fix)
			if why, _ := far(); why != "" {
				t.Errorf("after %s: %s", c.fix, why)
			}
		}
	}
}
