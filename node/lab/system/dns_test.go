//go:build linux

package system

import (
	"regexp"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// etc describes A's /etc/resolv.conf, and what is beside it.
func (s *site) etc() string {
	return s.A.Run("sh", "-c", "cd /etc; stat -c '%F %a %u:%g %N' resolv.conf; cat resolv.conf; ls -A | grep resolv")
}

// Where the file of name servers cannot be changed, nothing is, and up says what
// to do about it; with nothing to set there it does not matter.
func TestResolvConfReadOnly(t *testing.T) {
	lab.Need(t, "mount", "ip")
	t.Parallel()
	s := newSite(t, false)
	s.A.Mount("/etc/resolv.conf", sitetest.OriginalResolv, 0o644)
	s.A.Run("sh", "-c", "mkdir /run/bin; ln -s $(command -v bash) /run/bin/; mount -o remount,bind,ro /etc/resolv.conf")
	s.A.WriteFile("/etc/wireguard/wg0.conf", strings.Replace(s.ConfA.Text, "ListenPort", "DNS = 10.0.0.2\nListenPort", 1), 0o600)
	before := sitetest.HostState(s.A)
	for _, want := range []string{
		"/etc/resolv.conf is on a read-only file system\n",
		"wgnode: hint: in a container: mount a file that can be written, as -v ./resolv.conf:/etc/resolv.conf does\n",
		"remove DNS from a .conf",
	} {
		sitetest.Fails(t, s.A, 1, want, "env", "PATH=/run/bin", s.Wgnode, "up", "wg0")
	}
	sitetest.Unchanged(t, s.A, before)
	s.Up(s.A, s.ConfA)
}

// Names are resolved by the tunnel's server while it is up, and as before
// after it: whatever /etc/resolv.conf is, and however the node ended.
func TestResolvConf(t *testing.T) {
	lab.Need(t, "getent", "ip", "curl")
	t.Parallel()
	for name, prepare := range map[string]func(a *lab.Host){
		"file":    func(a *lab.Host) { a.Run("sh", "-c", "chown 1234:4321 /etc/resolv.conf; chmod 640 /etc/resolv.conf") },
		"mounted": func(a *lab.Host) { a.Mount("/etc/resolv.conf", sitetest.OriginalResolv, 0o644) },
		"link": func(a *lab.Host) {
			a.Run("sh", "-c", "mkdir /run/dhcp; mv /etc/resolv.conf /run/dhcp/; ln -s ../run/dhcp/resolv.conf /etc/resolv.conf")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, false)
			s.A.WriteFile("/etc/resolv.conf", sitetest.OriginalResolv, 0o644)
			prepare(s.A)
			s.A.Run("sh", "-c", "rm -f /etc/nsswitch.conf; echo 'hosts: files dns' > /etc/nsswitch.conf")
			s.ConfA.Replace(t, "ListenPort = 51821\n", "ListenPort = 51821\nDNS = 10.0.0.2, corp.example\nPostUp = test ! -e /run/fail\n")
			// Without a resolvconf that the machine may have.
			s.A.Run("sh", "-c", "mkdir /run/bin; ln -s $(command -v bash) /run/bin/")
			const path = "PATH=/run/bin"
			up := func() string { return s.A.Run("env", path, s.Wgnode, "up", "wg0", "--explain") }
			s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
			s.Up(s.H, s.ConfH)
			s.ServeNames(s.H, "10.0.0.2:53", s.Addr.B.V4.Addr())
			before := s.etc()

			out := up()
			for _, want := range []string{
				"[#] printf 'nameserver 10.0.0.2\\nsearch corp.example\\n' > /etc/resolv.conf",
				"set by replacing /etc/resolv.conf: resolvconf is not installed",
			} {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
			if got := s.A.Run("curl", "-sS", "http://web/"); got != "hello" {
				t.Errorf("curl by name: %q", got)
			}
			if got := s.A.Run("getent", "ahostsv4", "web"); !strings.Contains(got, "web.corp.example") {
				t.Errorf("the search domain is not heeded: %s", got)
			}
			out = s.A.Run(s.Wgnode, "down", "wg0")
			sitetest.Same(t, "after down, which printed\n"+out, before, s.etc())

			up()
			s.Kill()
			out = s.A.Run(s.Wgnode, "down", "wg0")
			sitetest.Same(t, "after kill -9 and down, which printed\n"+out, before, s.etc())

			s.A.Run("touch", "/run/fail")
			sitetest.Fails(t, s.A, 1, "/run/fail", "env", path, s.Wgnode, "up", "wg0")
			sitetest.Same(t, "after a PostUp that failed", before, s.etc())
			s.A.Run("rm", "/run/fail")

			// A DHCP client writes the file: it is its own from then on.
			up()
			s.Kill()
			s.A.Run("sh", "-c", "echo nameserver 10.9.1.9 > /etc/resolv.conf")
			changed := s.etc()
			out = s.A.Run(s.Wgnode, "down", "wg0")
			if !strings.Contains(out, "[!] left as it is: restore /etc/resolv.conf: another program has changed it meanwhile") {
				t.Errorf("down printed\n%s", out)
			}
			sitetest.Same(t, "after somebody else wrote it", changed, s.etc())
		})
	}
}

// The program resolvconf is called as wg-quick calls it.
func TestResolvconfAsWgQuick(t *testing.T) {
	lab.Need(t, "wg", "wg-quick", "ip")
	t.Parallel()
	const fake = "#!/bin/sh\n{ echo \"$# $*\"; [ \"$1\" != -a ] || cat; } >> /run/log\n"
	for name, test := range map[string]struct{ dns, order string }{
		"one server":           {"DNS = 10.0.0.2", ""},
		"servers and domains":  {"DNS = 10.0.0.2, fd0a::2, corp.example\nDNS = 10.0.0.3 lan", ""},
		"Debian's order":       {"DNS = 10.0.0.2", "# x\nlo.inet6\n@(br|eth)*\ntun*\ntap*\n"},
		"only a search domain": {"DNS = corp.example", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, false)
			s.A.WriteFile("/run/bin/resolvconf", fake, 0o755)
			s.A.Run("rm", "-rf", "/etc/resolvconf")
			if test.order != "" {
				s.A.WriteFile("/etc/resolvconf/interface-order", test.order, 0o644)
			}
			s.ConfA.Replace(t, "ListenPort = 51821\n", "ListenPort = 51821\n"+test.dns+"\n")
			s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
			// took runs programs and returns how resolvconf was called by them, and
			// what they printed of that.
			took := func(program ...string) string {
				s.A.Run("sh", "-c", ": > /run/log")
				out := ""
				for _, verb := range []string{"up", "down"} {
					out += s.A.Run(append(append([]string{"env", "PATH=/run/bin:/usr/sbin:/usr/bin:/sbin:/bin",
						"WG_QUICK_USERSPACE_IMPLEMENTATION=" + lab.WireguardGo(t)}, program...), verb, "wg0")...)
				}
				said := regexp.MustCompile(`(?m)^\[#\] resolvconf.*\n`).FindAllString(out, -1)
				return s.A.ReadFile("/run/log") + strings.Join(said, "")
			}
			want := took("wg-quick")
			if (want == "") != (name == "only a search domain") {
				t.Fatalf("wg-quick called: %q", want)
			}
			sitetest.Same(t, "-wg-quick +wgnode", want, took(s.Wgnode))
		})
	}
}

// A wgnode.toml settles where name servers are set.
func TestResolverForced(t *testing.T) {
	lab.Need(t, "ip", "ps")
	t.Parallel()
	s := newSite(t, false)
	s.A.WriteFile("/etc/resolv.conf", sitetest.OriginalResolv, 0o644)
	s.A.WriteFile("/run/bin/resolvconf", "#!/bin/sh\ntouch /run/called\n", 0o755)
	path := "PATH=/run/bin:/usr/bin:/bin"
	for kind, test := range map[string]struct {
		path, want string
		status     int
	}{
		"off":  {path, "[!] skipped: resolvconf -a wg0 -m 0 -x: resolver is off: the configuration says so", 0},
		"file": {path, "set by replacing /etc/resolv.conf: the configuration says so", 0},
		"resolvconf": {"PATH=/nonexistent",
			"the configuration says resolvconf: exec: \"resolvconf\": executable file not found in $PATH", 1},
		"systemd-resolved": {path, "the configuration says systemd-resolved: systemd-resolved does not answer", 1},
	} {
		t.Run(kind, func(t *testing.T) {
			h := s.A.With(t)
			h.WriteFile("/run/wg0.toml", "[interface]\nname = \"wg0\"\nprivate_key = \""+s.Alice.Private+
				"\"\ndns = [\"10.0.0.2\"]\nresolver = \""+kind+"\"\n", 0o600)
			before, host := s.etc(), sitetest.HostState(h)
			out, status, err := h.Try("env", test.path, s.Wgnode, "up", "/run/wg0.toml", "--explain")
			if err != nil || status != test.status || !strings.Contains(out, test.want) {
				t.Errorf("status %d, %v, want %d and %q in\n%s", status, err, test.status, test.want, out)
			}
			if changed := s.etc() != before; changed != (kind == "file") {
				t.Errorf("resolv.conf changed: %v", changed)
			}
			if status == 0 {
				h.Run(s.Wgnode, "down", "wg0")
			}
			sitetest.Same(t, "after it", before, s.etc())
			sitetest.Unchanged(t, h, host)
			if out, status, err := h.Try("test", "-e", "/run/called"); status == 0 || err != nil {
				t.Errorf("resolvconf was called: %v %s", err, out)
			}
		})
	}
}

// Without an interface there is nothing to resolve names for.
func TestNetstackSkipsDNS(t *testing.T) {
	lab.Need(t, "ip")
	t.Parallel()
	s := newSite(t, false)
	s.A.WriteFile("/etc/resolv.conf", sitetest.OriginalResolv, 0o644)
	s.ConfA.Replace(t, "ListenPort = 51821\n", "ListenPort = 51821\nDNS = 10.0.0.2\n")
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	before := s.etc()
	out := s.A.Run(s.Wgnode, "up", "wg0", "--netstack")
	if strings.Count(out, "[!] skipped: DNS:") != 1 {
		t.Errorf("up printed\n%s", out)
	}
	sitetest.Same(t, "while up", before, s.etc())
	s.A.Run(s.Wgnode, "down", "wg0")
}
