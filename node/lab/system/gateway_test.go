//go:build linux

package system

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// hubTOML writes H's configuration in wgnode's own format.
func (s *site) hubTOML(keys, tables string) {
	s.T.Helper()
	s.H.WriteFile("/etc/wireguard/wg0.toml", fmt.Sprintf(`[interface]
private_key = "%s"
address = ["10.0.0.2/24", "fd0a::2/64"]
listen_port = 51820
%s
%s
[[peer]]
name = "alice"
public_key = "%s"
allowed_ips = ["10.0.0.1/32", "fd0a::1/128"]
`, s.Gateway.Private, keys, tables, s.Alice.Public), 0o600)
}

// A hub that forwards nothing by itself: forward and masquerade lead A to B,
// which has no way back to the tunnel, and port forwards lead B and R to A. Down
// leaves all of the hub as it was, also what turning forwarding off changes.
func TestGateway(t *testing.T) {
	lab.Need(t, "curl", "nft", "ip", "sysctl")
	t.Parallel()
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			s := newSite(t, v6)
			s.H.Sysctl("net.ipv6.conf.all.forwarding", "0")
			s.H.Sysctl("net.ipv4.ip_forward", "0")
			s.H.Sysctl("net.ipv4.conf.all.accept_redirects", "0")
			s.H.Sysctl("net.ipv4.conf.lan.forwarding", "1")
			s.H.Sysctl("net.ipv6.conf.lan.forwarding", "1")
			s.H.Sysctl("net.ipv6.conf.wan.accept_ra", "1")
			s.H.Run("ip", "-6", "route", "add", "default", "via", "fe80::1", "dev", "wan", "proto", "ra")
			s.B.Run("ip", s.Flag(), "route", "delete", "default") // no way back but to the hub itself
			before := everything(s.H)
			s.hubTOML(`masquerade = ["lan"]`, strings.ReplaceAll(`
[[interface.port_forward]]
protocol = "tcp"
from = "wan"
port = 8080
to = "INNER:80"
[[interface.port_forward]]
protocol = "tcp"
port = 8081
to = "INNER:80"`, "INNER:80", net.JoinHostPort(s.Inner(1), "80")))
			out := s.H.Run(s.Wgnode, "up", tomlPath, "--explain")
			for _, want := range []string{"sysctl -q net.ipv4.ip_forward=1",
				"sysctl -q net.ipv6.conf.wan.accept_ra=2  # or else wan loses its default route via fe80::1"} {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
			s.Up(s.A, s.ConfA)
			// B thinks of Ethernet; what it offers has to fit through the tunnel.
			s.A.RunInput(`table inet offered {
	chain in {
		type filter hook input priority 0
		tcp flags & (syn|ack) == syn|ack tcp option maxseg size > 1380 drop
	}
}`, "nft", "-f", "-")
			if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
				t.Errorf("through the hub, curl printed %q", got)
			}
			// A sees a peer that it knows as the source, so its replies are let in.
			s.A.ServeHTTP(net.JoinHostPort(s.Inner(1), "80"), "alice")
			for _, test := range []struct {
				from *lab.Host
				at   string
				want bool
			}{
				{s.R, net.JoinHostPort(s.IP(s.Addr.HWan), "8080"), true},
				{s.R, net.JoinHostPort(s.IP(s.Addr.HWan), "8081"), true},
				{s.B, net.JoinHostPort(s.IP(s.Addr.HLan), "8081"), true},
				{s.B, net.JoinHostPort(s.IP(s.Addr.HLan), "8080"), false},
			} {
				got, status, err := test.from.Try("curl", "-sS", "http://"+test.at)
				if err != nil || (status == 0 && got == "alice") != test.want {
					t.Errorf("%s of %s: status %d, %v, printed %q", test.at, test.from.Name(), status, err, got)
				}
			}
			s.H.Run(s.Wgnode, "down", "wg0")
			sitetest.Same(t, "left by down", before, everything(s.H))
			s.H.Run(s.Wgnode, "up", tomlPath)
			s.KillOn(s.H)
			s.H.Run(s.Wgnode, "recover")
			sitetest.Same(t, "left by recover", before, everything(s.H))
		})
	}
}

// Of two nodes that forward the last to end turns it off.
func TestForwardShared(t *testing.T) {
	lab.Need(t, "ip", "sysctl", "nft")
	t.Parallel()
	s := newSite(t, false)
	before := everything(s.A)
	s.toml(`"10.0.0.2/32"`, "forward = true", "")
	first := s.A.ReadFile(tomlPath)
	s.A.WriteFile("/etc/wireguard/wg1.toml", strings.NewReplacer("51821", "51822", "10.0.0.", "10.0.1.", "fd0a:",
		"fd0b:").Replace(first), 0o600)
	on := func(want string) {
		t.Helper()
		if got := s.A.Run("sysctl", "-n", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"); got != want+"\n"+want+"\n" {
			t.Errorf("forwarding is %q, want %s", got, want)
		}
	}
	s.A.Run(s.Wgnode, "up", tomlPath)
	on("1")
	s.A.Run(s.Wgnode, "up", "/etc/wireguard/wg1.toml")
	s.A.Run(s.Wgnode, "down", "wg0")
	on("1")
	s.A.Run(s.Wgnode, "up", tomlPath)
	s.Kill()
	s.A.Run(s.Wgnode, "down", "wg1")
	on("0")
	s.A.Run(s.Wgnode, "recover")
	sitetest.Same(t, "left", before, everything(s.A))
}

// Excluded prefixes leave by the host's own default route, in each mode of
// tables, and follow it when it changes.
func TestExclude(t *testing.T) {
	lab.Need(t, "ip", "curl")
	t.Parallel()
	for name, test := range map[string]struct{ allowed, keys, want string }{
		"full tunnel": {fullIPs, "", "[#] ip -4 route add throw 203.0.112.0/20 table 51820\n"},
		"halves":      {`"0.0.0.0/1", "128.0.0.0/1", "::/1"`, "", "[#] ip -4 route add 203.0.128.0/17 dev wg0\n"},
		"own table":   {fullIPs, "table = 77", "[#] ip -6 route add throw 2001:db8:2::/48 table 77\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, false)
			s.A.Run("ip", "rule", "add", "pref", "30000", "not", "from", "10.77.0.0/16", "table", "77")
			s.A.Run("ip", "-6", "rule", "add", "pref", "30000", "not", "from", "fd77::/16", "table", "77")
			before := everything(s.A)
			s.Up(s.H, s.ConfH)
			if name == "own table" { // the endpoint is the user's affair there
				s.A.Run("ip", "rule", "add", "pref", "29999", "to", s.IP(s.Addr.HWan), "table", "main")
				before = everything(s.A)
			}
			s.toml(test.allowed, test.keys+"\nexclude = [\"203.0.112.0/20\", \"2001:db8:2::/48\", \"192.0.2.0/24\"]", "")
			out := s.A.Run(s.Wgnode, "up", "-v", tomlPath)
			if !strings.Contains(out, test.want) {
				t.Errorf("%q is not in\n%s", test.want, out)
			}
			way := func(to string) string {
				t.Helper()
				return regexp.MustCompile(`dev \S+`).FindString(s.A.Run("ip", "route", "get", to))
			}
			for to, want := range map[string]string{
				"203.0.113.77": "dev eth0", "2001:db8:2::77": "dev eth0", "192.0.2.7": "dev eth0", // excluded
				"203.0.128.1": "dev wg0", "192.0.3.7": "dev wg0", "2001:db8:3::7": "dev wg0",
			} {
				if got := way(to); got != want {
					t.Errorf("%s goes by %s, want %s; up printed\n%s", to, got, want, out)
				}
			}
			s.A.Run("ip", "route", "add", "192.0.2.128/25", "dev", "lo")
			if got := way("192.0.2.200"); got != "dev lo" {
				t.Errorf("a new route of the host's own is not followed: %s", got)
			}
			s.A.Run("ip", "route", "delete", "192.0.2.128/25", "dev", "lo")
			s.A.Run(s.Wgnode, "down", "wg0")
			sitetest.Same(t, "left", before, everything(s.A))
		})
	}
}

// With the LAN allowed its hosts stay reachable, and so do those of another
// network that this host comes into; all else stays shut.
func TestKillSwitchLAN(t *testing.T) {
	lab.Need(t, "nft", "ip", "curl")
	t.Parallel()
	s := newSite(t, false)
	s.R.ServeHTTP(net.JoinHostPort(s.Addr.RLan.V4.Addr().String(), "80"), "router")
	s.R.ServeHTTP(net.JoinHostPort(s.Addr.RLan.V6.Addr().String(), "80"), "router")
	s.H.ServeHTTP(net.JoinHostPort(s.Addr.HWan.V4.Addr().String(), "80"), "out there")
	s.R.Run("ip", "address", "add", "10.44.0.1/24", "dev", "lan")
	s.R.ServeHTTP("10.44.0.1:80", "elsewhere")
	curl := func(at, want string) string {
		args := []string{"curl", "-s", "http://" + at}
		if want == "" {
			args = append(args, "-m.5") // nothing will come
		}
		out, _, _ := s.A.Try(args...)
		return out
	}
	lan4, lan6 := s.IP(s.Addr.RLan), "["+s.Addr.RLan.V6.Addr().String()+"]"
	for _, test := range []struct {
		keys      string
		lan, away string
	}{
		{"kill_switch = true", "", ""},
		{"kill_switch = true\nkill_switch_lan = true", "router", ""},
		{"kill_switch = true\nexclude = [\"203.0.113.0/24\"]", "", "out there"},
	} {
		s.toml(`"10.0.0.2/32"`, test.keys, "")
		s.A.Run(s.Wgnode, "up", tomlPath)
		if a, b, c := curl(lan4, test.lan), curl(lan6, test.lan), curl(s.IP(s.Addr.HWan), test.away); a != test.lan ||
			b != test.lan || c != test.away {
			t.Errorf("%s: the LAN says %q and %q, the outside %q", test.keys, a, b, c)
		}
		if test.lan != "" {
			s.A.Run("ip", "address", "add", "10.44.0.2/24", "dev", "eth0")
			s.A.Until(`nft list ruleset | grep -q 'oifname "eth0" ip daddr 10.44.0.0/24 accept'`)
			if got := curl("10.44.0.1", "elsewhere"); got != "elsewhere" {
				t.Errorf("in another network curl printed %q", got)
			}
			// A network of public addresses is nobody's LAN.
			s.A.Run("ip", "route", "add", "203.0.113.0/24", "dev", "eth0", "src", s.IP(s.Addr.A))
			if got := curl(s.IP(s.Addr.HWan), ""); got != "" {
				t.Errorf("by a public network on the link curl printed %q", got)
			}
			s.A.Run("ip", "route", "delete", "203.0.113.0/24", "dev", "eth0")
		}
		s.A.Run(s.Wgnode, "down", "wg0")
	}
}
