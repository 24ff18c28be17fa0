package plan

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// Encrypted packets that AllowedIPs would lead into the tunnel are warned of before
// anything is changed; a default route, which has a mark, and what a longer route of
// the host's keeps outside are not.
func TestLoops(t *testing.T) {
	ownNamespace(t)
	for _, command := range []string{
		"ip link add up0 type veth peer name far0", "ip link set far0 up",
		"ip address add 192.0.2.1/24 dev up0", "ip link set up0 up",
		"ip route add default via 192.0.2.254", "ip route add 10.5.0.0/16 via 192.0.2.9",
		"ip route add 10.9.0.0/16 via 192.0.2.9 table 99", "ip rule add to 10.9.0.0/16 table 99",
	} {
		run(t, command)
	}
	for _, tc := range []struct {
		name, iface, allowed, endpoint string
		exclude                        string
		want                           string // "ALLOWED NOW", or "" for no loop
	}{
		{name: "halves", allowed: "0.0.0.0/1, 128.0.0.0/1", endpoint: "203.0.113.9", want: "128.0.0.0/1 0.0.0.0/0"},
		{name: "halves, at the other half", allowed: "0.0.0.0/1, 128.0.0.0/1", endpoint: "9.9.9.9", want: "0.0.0.0/1 0.0.0.0/0"},
		{name: "a network", allowed: "10.0.0.0/8, 10.5.0.0/24", endpoint: "10.5.0.9", want: "10.5.0.0/24 10.5.0.0/16"},
		{name: "default route", allowed: "0.0.0.0/0", endpoint: "203.0.113.9"},
		{name: "a shorter network", allowed: "10.0.0.0/8", endpoint: "10.5.0.9"},
		{name: "on the link", allowed: "0.0.0.0/1, 128.0.0.0/1", endpoint: "192.0.2.7"},
		{name: "by a rule of the host's", allowed: "10.9.0.0/24", endpoint: "10.9.0.1"},
		{name: "elsewhere", allowed: "10.0.0.0/8", endpoint: "203.0.113.9"},
		{name: "no routes", iface: "Table = off", allowed: "0.0.0.0/1, 128.0.0.0/1", endpoint: "203.0.113.9"},
		{name: "another table", iface: "Table = 7", allowed: "0.0.0.0/1, 128.0.0.0/1", endpoint: "203.0.113.9"},
		{name: "excluded", allowed: "0.0.0.0/1, 128.0.0.0/1", endpoint: "203.0.113.9", exclude: "203.0.113.0/24"},
	} {
		// No subtest: it would run outside of the namespace.
		c := conf(t, tc.iface, "AllowedIPs = "+tc.allowed)
		if tc.exclude != "" {
			c.Interface.Exclude = []netip.Prefix{netip.MustParsePrefix(tc.exclude)}
		}
		endpoint := netip.MustParseAddr(tc.endpoint)
		s, err := Gather(c, []netip.Addr{endpoint, endpoint}, 0)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		var want []Loop
		if allowed, now, ok := strings.Cut(tc.want, " "); ok {
			want = []Loop{{endpoint, netip.MustParsePrefix(allowed), netip.MustParsePrefix(now)}}
		}
		if !reflect.DeepEqual(s.Loops, want) {
			t.Errorf("%s: got %v, want %v", tc.name, s.Loops, want)
		}
		if said := strings.Join(Warnings(c, s), "\n"); strings.Contains(said, "into wg0 itself") != (want != nil) {
			t.Errorf("%s: warnings: %q", tc.name, said)
		}
	}
}

// AllowedIPs that cover one family in parts leave the other outside, as a default
// route does.
func TestWarnsOfOneFamilyInParts(t *testing.T) {
	for allowed, want := range map[string]string{
		"0.0.0.0/1, 128.0.0.0/1":              "IPv6 ones leave outside of it: via fe80::1 dev eth0",
		"0.0.0.0/2, 64.0.0.0/2, 128.0.0.0/1":  "IPv6 ones leave outside of it: via fe80::1 dev eth0",
		"::/1, 8000::/1":                      "IPv4 ones leave outside of it: via 10.9.1.1 dev eth0",
		"0.0.0.0/1, 128.0.0.0/1, ::/0":        "",
		"0.0.0.0/1, 128.0.0.0/1, ::/1, 8::/1": "",
		"0.0.0.0/1":                           "",
	} {
		host := plainHost
		host.Default.V4.Default, host.Default.V6.Default = "via 10.9.1.1 dev eth0", "via fe80::1 dev eth0"
		got := strings.Join(Warnings(conf(t, "", "AllowedIPs = "+allowed), host), "\n")
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", allowed, got, want)
		}
	}
}
