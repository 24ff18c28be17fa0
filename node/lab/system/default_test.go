//go:build linux

package system

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/patience"
)

// These tests are about what a default route needs, and what of it is somebody
// else's.

// wgQuick runs wg-quick over wireguard-go's own program.
func (s *site) wgQuick(args ...string) string {
	s.T.Helper()
	return s.A.Run(append([]string{"env", "WG_QUICK_USERSPACE_IMPLEMENTATION=" + lab.WireguardGo(s.T), "wg-quick"}, args...)...)
}

// Rules of the same shape that are somebody else's stay, and so does another
// tunnel with a default route.
func TestForeignRulesStay(t *testing.T) {
	lab.Need(t, "wg", "wg-quick", "ip", "nft", "sysctl")
	t.Parallel()
	s := newSite(t, false)
	s.ConfA.Text = regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllString(s.ConfA.Text, "AllowedIPs = 0.0.0.0/0, ::/0")
	s.A.Run("ip", "rule", "add", "table", "main", "suppress_prefixlength", "0")
	s.A.Run("ip", "-6", "rule", "add", "pref", "50", "table", "main", "suppress_prefixlength", "0")
	before := sitetest.Routing(s.A)

	other := strings.NewReplacer("51821", "51822", "10.0.0.1/24", "10.0.1.1/24", "fd0a::1/64", "fd0b::1/64").Replace(s.ConfA.Text)
	s.A.WriteFile("/etc/wireguard/wg1.conf", other, 0o600)
	s.A.Run(s.Wgnode, "up", "wg1")
	withOther := sitetest.Routing(s.A)
	s.Up(s.A, s.ConfA)
	s.A.Run(s.Wgnode, "down", "wg0")
	sitetest.Same(t, "left beside wg1", withOther, sitetest.Routing(s.A))

	s.A.Run(s.Wgnode, "down", "wg1")
	sitetest.Same(t, "left", before, sitetest.Routing(s.A))
}

// A node was killed, and wg-quick takes the name of its interface, and with it
// the number of the table. Down then leaves wg-quick's tunnel as it is.
func TestKilledThenWgQuick(t *testing.T) {
	lab.Need(t, "wg", "wg-quick", "ip", "nft", "sysctl", "curl")
	t.Parallel()
	s := newSite(t, false)
	s.ConfA.Text = regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllString(s.ConfA.Text, "AllowedIPs = 0.0.0.0/0, ::/0")
	s.Up(s.H, s.ConfH)
	s.Up(s.A, s.ConfA)
	s.Kill()
	s.A.Run("rm", "-f", "/run/wireguard/wg0.sock")
	s.A.Until("! ip link show wg0 >/dev/null 2>&1")
	s.wgQuick("up", "wg0")
	s.A.Run(s.Wgnode, "down", "wg0")
	for _, family := range []string{"-4", "-6"} {
		if out := s.A.Run("ip", family, "rule"); strings.Count(out, "lookup 51820") != 1 || strings.Count(out, "suppress_prefixlength 0") != 1 {
			t.Errorf("want only wg-quick's rules:\n%s", out)
		}
	}
	if out := s.A.Run("nft", "list", "tables"); out != "table ip6 wg-quick-wg0\ntable ip wg-quick-wg0\n" {
		t.Errorf("want wg-quick's tables, there are:\n%s", out)
	}
	if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
		t.Errorf("curl printed %q", got)
	}
	s.wgQuick("down", "wg0")
}

// A full tunnel carries all but the host's own network, also where the source
// addresses of what comes back are checked.
func TestFullTunnel(t *testing.T) {
	lab.Need(t, "curl", "ping", "ip", "nft", "sysctl")
	t.Parallel()
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			s := newSite(t, v6)
			s.ConfA.Text = regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllString(s.ConfA.Text, "AllowedIPs = 0.0.0.0/0, ::/0")
			s.A.Sysctl("net.ipv4.conf.all.rp_filter", "1")
			s.A.Sysctl("net.ipv4.conf.eth0.rp_filter", "1")
			s.Up(s.H, s.ConfH)
			s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
			out := s.A.Run(s.Wgnode, "up", "wg0", "--explain")
			for _, want := range []string{
				"it goes before the default route via 10.9.1.1 dev eth0", "so 10.9.1.0/24 dev eth0 stay reachable",
				"it goes before the default route via fd00:9:1::1 dev eth0",
			} {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
			if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
				t.Errorf("curl printed %q", got)
			}
			if out := s.A.Run("ip", s.Flag(), "route", "get", s.IP(s.Addr.B)); !strings.Contains(out, "dev wg0") {
				t.Errorf("the way to B: %s", out)
			}
			s.A.Ping(s.IP(s.Addr.RLan)) // the LAN
			if out := s.A.Run(s.Wgnode, "explain", "wg0", s.Web()); !strings.Contains(out, "healthy") {
				t.Errorf("explain:\n%s", out)
			}
			// Who is not in the tunnel does not reach A's address there.
			s.R.Run("ip", s.Flag(), "route", "add", s.Inner(1), "via", s.IP(s.Addr.A))
			if out, status, err := s.R.Try("ping", "-c1", "-W1", s.Inner(1)); status == 0 || err != nil {
				t.Errorf("the router reaches A's address in the tunnel: %v\n%s", err, out)
			}
		})
	}
}

// A reply to an encrypted packet that left as soon as the link was up is taken in, however long it
// takes: the check of source addresses then has the rules that lead everything into the tunnel.
func TestFullTunnelHearsFirstReply(t *testing.T) {
	lab.Need(t, "nft")
	t.Parallel()
	s := newSite(t, false)
	s.ConfA.Text = regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllString(s.ConfA.Text, "AllowedIPs = 0.0.0.0/0\nPersistentKeepalive = 25")
	s.A.Sysctl("net.ipv4.conf.all.rp_filter", "1")
	s.Up(s.H, s.ConfH)
	pid := sitetest.PidOf(t, s.H)
	s.H.Run("kill", "-STOP", pid) // the initiation waits in its socket
	s.Up(s.A, s.ConfA)
	watch := s.A.Start(s.Wgnode, "watch", "wg0", "--past")
	watch.WaitOutput(patience.Context(t), "initiation")
	s.H.Run("kill", "-CONT", pid)
	watch.WaitOutput(patience.Context(t), "session established")
	first := regexp.MustCompile(`initiation .* sender (0x[0-9a-f]+)`).FindStringSubmatch(watch.Output())
	if first == nil || !strings.Contains(watch.Output(), "receiver "+first[1]) {
		t.Errorf("want the first initiation answered in\n%s", watch.Output())
	}
}

// Without IPv6 and without nftables the rest is done, and what is left out is
// named.
func TestFullTunnelWithoutIPv6(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.ConfA.Text = regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllString(s.ConfA.Text, "AllowedIPs = 0.0.0.0/0, ::/0")
	s.A.Sysctl("net.ipv6.conf.all.disable_ipv6", "1")
	s.A.Sysctl("net.ipv6.conf.default.disable_ipv6", "1")
	before := sitetest.Routing(s.A)
	s.Up(s.H, s.ConfH)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	out := s.A.Run(s.Wgnode, "up", filepath.Join("/etc/wireguard", "wg0.conf"))
	if !strings.Contains(out, "[!] skipped: ip -6 route add ::/0 dev wg0 table 51820: IPv6 is disabled") {
		t.Errorf("up printed\n%s", out)
	}
	if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
		t.Errorf("curl printed %q", got)
	}
	s.A.Run(s.Wgnode, "down", "wg0")
	sitetest.Same(t, "left", before, sitetest.Routing(s.A))
}

// A container's sysctls are read-only.
func TestReadOnlySysctl(t *testing.T) {
	lab.Need(t, "mount", "unshare", "ip", "nft", "sysctl")
	t.Parallel()
	s := newSite(t, false)
	s.ConfA.Text = regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllString(s.ConfA.Text, "AllowedIPs = 0.0.0.0/0")
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	before := sitetest.Routing(s.A)
	contained := func(command string) []string {
		return []string{"unshare", "-m", "sh", "-c", "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && " + command}
	}
	sitetest.Fails(t, s.A, 1, "a container gets it by the option --sysctl net.ipv4.conf.all.src_valid_mark=1",
		contained(s.Wgnode+" up wg0")...)
	sitetest.Same(t, "left by the failure", before, sitetest.Routing(s.A))

	s.A.Sysctl("net.ipv4.conf.all.src_valid_mark", "1")
	set := sitetest.Routing(s.A)
	s.A.Run(contained(s.Wgnode + " up wg0")...)
	s.A.Run(s.Wgnode, "down", "wg0")
	sitetest.Same(t, "left", set, sitetest.Routing(s.A))
}
