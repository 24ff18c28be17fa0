//go:build linux

package system

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// linked gives A links of wg and wg-quick to wgnode, in /run/as.
func linked(s *site) {
	s.A.Run("sh", "-c", "mkdir -p /run/as && for p in wg wg-quick; do ln -s "+s.Wgnode+" /run/as/$p; done")
}

// Through a link wgnode prints what wg and wg-quick print, and ends as they do. Of usage
// the first line is compared: what follows describes another program.
func TestAsWgAndWgQuick(t *testing.T) {
	lab.Need(t, "bash", "ip", "wg", "wg-quick")
	t.Parallel()
	s := newSite(t, false)
	linked(s)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	s.A.WriteFile("/etc/wireguard/bad.conf", "[Interface]\nSaveConfig = maybe\n", 0o600)
	s.A.Run(s.Wgnode, "up", "wg0")
	for _, line := range []string{
		"wg", "wg -h", "wg --help", "wg help", "wg -v", "wg --version", "wg version", "wg --version x", "wg foo", "wg --foo",
		"wg show", "wg show wg0", "wg show all", "wg show all dump", "wg show interfaces", "wg show wg0 public-key", "wg show wg0 private-key",
		"wg show --help", "wg show -h", "wg show help", "wg show --foo", "wg show nope", "wg show nope bogus", "wg show wg0 bogus",
		"wg show all a b", "wg show interfaces x", "wg showconf wg0", "wg showconf", "wg showconf --help", "wg showconf nope", "wg showconf a b",
		"wg set", "wg set --help", "wg set -h", "wg set nope", "wg set nope listen-port 1", "wg set wg0 listen-port 51821", "wg set wg0 bogus 1",
		"wg set wg0 listen-port x", "wg set wg0 peer x remove",
		"wg setconf", "wg setconf wg0", "wg setconf wg0 /nofile", "wg setconf --help", "wg addconf --help", "wg syncconf -h", "wg syncconf wg0",
		"wg genkey x", "wg genkey --help", "wg genpsk x", "wg pubkey x", "wg pubkey </dev/null", "echo x | wg pubkey",
		"wg genkey | wg pubkey | wc -c", "wg genpsk | wc -c", "wg syncconf wg0 <(wg-quick strip wg0)", "wg addconf wg0 <(wg showconf wg0)",
		"wg-quick", "wg-quick -h", "wg-quick --help", "wg-quick help", "wg-quick --version", "wg-quick up", "wg-quick down", "wg-quick strip",
		"wg-quick up a b", "wg-quick bogus wg0", "wg-quick up nope", "wg-quick down nope", "wg-quick save nope", "wg-quick strip nope",
		"wg-quick up /nofile.conf", "wg-quick up ./wg0.conf", "wg-quick strip /etc/passwd", "wg-quick up /etc/passwd",
		"wg-quick up toolonginterfacename", "wg-quick up wg0.conf", "wg-quick down --help", "wg-quick strip wg0",
		"wg-quick strip /etc/wireguard/wg0.conf",
		"wg-quick up wg0", "cd /etc/wireguard && wg-quick strip ./wg0.conf",
	} {
		try := func(path string) []string {
			out, status, err := s.A.Try("env", "PATH="+path+":/usr/sbin:/usr/bin:/sbin:/bin", "bash", "-c",
				"cd / && { "+line+"\n} 2>/run/said; s=$?; echo --; cat /run/said; exit $s")
			if err != nil {
				t.Fatal(err)
			}
			lines := []string{line, strings.Repeat("!", status)}
			for l := range strings.Lines(out) {
				l = strings.TrimRight(l, "\n")
				if strings.HasPrefix(l, "wireguard-tools v1.0.") {
					l = "wireguard-tools v1.0."
				}
				lines = append(lines, l)
				if strings.HasPrefix(l, "Usage: ") {
					if strings.HasPrefix(l, "Usage: wg set ") { // newer wg has more of it
						lines[len(lines)-1] = "Usage: wg set "
					}
					lines = append(lines, "--")
					break
				}
			}
			return lines
		}
		if diff := cmp.Diff(try("/nowhere"), try("/run/as")); diff != "" {
			t.Errorf("%s (-real +wgnode):\n%s", line, diff)
		}
	}
}

// A tunnel comes up, is reloaded and goes down as wg-quick@.service does it.
func TestUnitOfWgQuick(t *testing.T) {
	lab.Need(t, "bash", "curl", "ip", "ps")
	t.Parallel()
	s := newSite(t, false)
	linked(s)
	before := sitetest.HostState(s.A)
	s.Up(s.H, s.ConfH)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	in := func(script string) string {
		return s.A.Run("env", "PATH=/run/as:/usr/sbin:/usr/bin:/sbin:/bin", "WG_ENDPOINT_RESOLUTION_RETRIES=infinity", "bash", "-ec", script)
	}
	in("wg-quick up wg0")
	if got := s.A.Run("curl", "-sS", "-m10", "http://"+s.Web()); got != "hello" {
		t.Errorf("curl printed %q", got)
	}
	in("sed -i 's/^AllowedIPs = /AllowedIPs = 10.77.0.0\\/16, /' /etc/wireguard/wg0.conf")
	in("exec wg syncconf wg0 <(exec wg-quick strip wg0)")
	if out := in("wg show wg0 allowed-ips"); !strings.Contains(out, "10.77.0.0/16") {
		t.Errorf("after the reload:\n%s", out)
	}
	in("wg-quick save wg0 && wg-quick down wg0")
	sitetest.Unchanged(t, s.A, before)
	in("wg-quick up wg0 && rm /etc/wireguard/wg0.conf && wg-quick down wg0") // which wg-quick cannot
	sitetest.Unchanged(t, s.A, before)
}
