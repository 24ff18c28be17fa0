//go:build linux

package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/node/lab"
)

// These tests are about what a default route needs, and what of it is somebody
// else's.

// routing is all that leads packets.
func routing(h *lab.Host) string {
	var state strings.Builder
	for _, command := range []string{
		"ip rule", "ip -6 rule", "ip route show table all", "ip -6 route show table all",
		"nft list ruleset", "sysctl net.ipv4.conf.all.src_valid_mark",
	} {
		fmt.Fprintf(&state, "$ %s\n%s", command, h.Run(strings.Fields(command)...))
	}
	// Each new interface gets another link-local address, when the kernel is at
	// it.
	text := regexp.MustCompile(`(?m)^.*(fe80:|ff00::/8).* dev wg.*\n`).ReplaceAllString(state.String(), "")
	return regexp.MustCompile(`(ip6 daddr fe80:)\S+|[ \t]+$`).ReplaceAllString(text, "$1")
}

// wgQuick runs wg-quick over wireguard-go's own program.
func (s *site) wgQuick(args ...string) string {
	s.t.Helper()
	return s.A.Run(append([]string{"env", "WG_QUICK_USERSPACE_IMPLEMENTATION=" + lab.WireguardGo(s.t), "wg-quick"}, args...)...)
}

func same(t *testing.T, what, want, got string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s:\n%s", what, diff)
	}
}

// kill kills the node of wg0 on A. When it returns the process has ended, but
// one of its threads may still be about to let go of the interface.
func (s *site) kill() {
	s.t.Helper()
	s.killOn(s.A)
}

// killOn is kill for another host.
func (s *site) killOn(h *lab.Host) {
	s.t.Helper()
	pid := pidOf(s.t, h)
	h.Run("sh", "-c", "kill -9 "+pid+"; while kill -0 "+pid+" 2>/dev/null && ! grep -q '^State:.Z' /proc/"+pid+"/status; do :; done")
}

// Rules of the same shape that are somebody else's stay, and so does another
// tunnel with a default route.
func TestForeignRulesStay(t *testing.T) {
	lab.Need(t, "wg", "wg-quick", "ip", "nft", "sysctl")
	s := newSite(t, false)
	s.confA.text = regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllString(s.confA.text, "AllowedIPs = 0.0.0.0/0, ::/0")
	s.A.Run("ip", "rule", "add", "table", "main", "suppress_prefixlength", "0")
	s.A.Run("ip", "-6", "rule", "add", "pref", "50", "table", "main", "suppress_prefixlength", "0")
	before := routing(s.A)

	other := strings.NewReplacer("51821", "51822", "10.0.0.1/24", "10.0.1.1/24", "fd0a::1/64", "fd0b::1/64").Replace(s.confA.text)
	s.A.WriteFile("/etc/wireguard/wg1.conf", other, 0o600)
	s.A.Run(s.wgnode, "up", "wg1")
	withOther := routing(s.A)
	s.up(s.A, s.confA)
	s.A.Run(s.wgnode, "down", "wg0")
	same(t, "left beside wg1", withOther, routing(s.A))

	s.A.Run(s.wgnode, "down", "wg1")
	same(t, "left", before, routing(s.A))
}

// A node was killed, and wg-quick takes the name of its interface, and with it
// the number of the table. Down then leaves wg-quick's tunnel as it is.
func TestKilledThenWgQuick(t *testing.T) {
	lab.Need(t, "wg", "wg-quick", "ip", "nft", "sysctl", "curl")
	s := newSite(t, false)
	s.confA.text = regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllString(s.confA.text, "AllowedIPs = 0.0.0.0/0, ::/0")
	s.up(s.H, s.confH)
	s.up(s.A, s.confA)
	s.kill()
	s.A.Run("sh", "-c", "rm -f /run/wireguard/wg0.sock; while ip link show wg0 >/dev/null 2>&1; do :; done")
	s.wgQuick("up", "wg0")
	s.A.Run(s.wgnode, "down", "wg0")
	for _, family := range []string{"-4", "-6"} {
		if out := s.A.Run("ip", family, "rule"); strings.Count(out, "lookup 51820") != 1 || strings.Count(out, "suppress_prefixlength 0") != 1 {
			t.Errorf("want only wg-quick's rules:\n%s", out)
		}
	}
	if out := s.A.Run("nft", "list", "tables"); out != "table ip6 wg-quick-wg0\ntable ip wg-quick-wg0\n" {
		t.Errorf("want wg-quick's tables, there are:\n%s", out)
	}
	if got := s.A.Run("curl", "-sS", "-m10", "http://"+s.web()); got != "hello" {
		t.Errorf("curl printed %q", got)
	}
	s.wgQuick("down", "wg0")
}

// A full tunnel carries all but the host's own network, also where the source
// addresses of what comes back are checked.
func TestFullTunnel(t *testing.T) {
	lab.Need(t, "curl", "ping", "ip", "nft", "sysctl")
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			s := newSite(t, v6)
			s.confA.text = regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllString(s.confA.text, "AllowedIPs = 0.0.0.0/0, ::/0")
			s.A.Sysctl("net.ipv4.conf.all.rp_filter", "1")
			s.A.Sysctl("net.ipv4.conf.eth0.rp_filter", "1")
			s.up(s.H, s.confH)
			s.A.WriteFile("/etc/wireguard/wg0.conf", s.confA.text, 0o600)
			out := s.A.Run(s.wgnode, "up", "wg0", "--explain")
			for _, want := range []string{
				"it goes before the default route via 10.9.1.1 dev eth0", "so 10.9.1.0/24 dev eth0 stay reachable",
				"it goes before the default route via fd00:9:1::1 dev eth0",
			} {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
			if got := s.A.Run("curl", "-sS", "-m10", "http://"+s.web()); got != "hello" {
				t.Errorf("curl printed %q", got)
			}
			if out := s.A.Run("ip", s.flag(), "route", "get", s.ip(s.Addr.B)); !strings.Contains(out, "dev wg0") {
				t.Errorf("the way to B: %s", out)
			}
			s.A.Run("ping", "-c1", "-W5", s.ip(s.Addr.RLan)) // the LAN
			if out := s.A.Run(s.wgnode, "explain", "wg0", s.web()); !strings.Contains(out, "healthy") {
				t.Errorf("explain:\n%s", out)
			}
			// Who is not in the tunnel does not reach A's address there.
			s.R.Run("ip", s.flag(), "route", "add", s.inner(1), "via", s.ip(s.Addr.A))
			if out, status, err := s.R.Try("ping", "-c1", "-W1", s.inner(1)); status == 0 || err != nil {
				t.Errorf("the router reaches A's address in the tunnel: %v\n%s", err, out)
			}
		})
	}
}

// Without IPv6 and without nftables the rest is done, and what is left out is
// named.
func TestFullTunnelWithoutIPv6(t *testing.T) {
	s := newSite(t, false)
	s.confA.text = regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllString(s.confA.text, "AllowedIPs = 0.0.0.0/0, ::/0")
	s.A.Sysctl("net.ipv6.conf.all.disable_ipv6", "1")
	s.A.Sysctl("net.ipv6.conf.default.disable_ipv6", "1")
	before := routing(s.A)
	s.up(s.H, s.confH)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.confA.text, 0o600)
	out := s.A.Run(s.wgnode, "up", filepath.Join("/etc/wireguard", "wg0.conf"))
	if !strings.Contains(out, "[!] skipped: ip -6 route add ::/0 dev wg0 table 51820: IPv6 is disabled") {
		t.Errorf("up printed\n%s", out)
	}
	if got := s.A.Run("curl", "-sS", "-m10", "http://"+s.web()); got != "hello" {
		t.Errorf("curl printed %q", got)
	}
	s.A.Run(s.wgnode, "down", "wg0")
	same(t, "left", before, routing(s.A))
}

// A container's sysctls are read-only.
func TestReadOnlySysctl(t *testing.T) {
	lab.Need(t, "mount", "unshare", "ip", "nft", "sysctl")
	s := newSite(t, false)
	s.confA.text = regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllString(s.confA.text, "AllowedIPs = 0.0.0.0/0")
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.confA.text, 0o600)
	before := routing(s.A)
	contained := func(command string) []string {
		return []string{"unshare", "-m", "sh", "-c", "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && " + command}
	}
	fails(t, s.A, 1, "a container gets it by the option --sysctl net.ipv4.conf.all.src_valid_mark=1", contained(s.wgnode+" up wg0")...)
	same(t, "left by the failure", before, routing(s.A))

	s.A.Sysctl("net.ipv4.conf.all.src_valid_mark", "1")
	set := routing(s.A)
	s.A.Run(contained(s.wgnode + " up wg0")...)
	s.A.Run(s.wgnode, "down", "wg0")
	same(t, "left", set, routing(s.A))
}
