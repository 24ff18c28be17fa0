//go:build linux

package system

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// mixed are the ways in which two lives, a letter for each event, can be mixed.
func mixed(a, b string) (all []string) {
	if a == "" && b == "" {
		return []string{""}
	}
	if a != "" {
		for _, rest := range mixed(a[1:], b) {
			all = append(all, a[:1]+"a "+rest)
		}
	}
	if b != "" {
		for _, rest := range mixed(a, b[1:]) {
			all = append(all, b[:1]+"b "+rest)
		}
	}
	return all
}

// Two full tunnels, and three, go up and down, are killed and recovered in any
// order: the last one leaves the host as the first one found it.
func TestFullTunnelsInAnyOrder(t *testing.T) {
	lab.Need(t, "ip", "nft", "sysctl")
	t.Parallel()
	s := newSite(t, false)
	for i, name := range []string{"a", "b", "c"} {
		s.A.WriteFile("/etc/wireguard/"+name+".conf", fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = 10.%d.0.1/24\n"+
			"[Peer]\nPublicKey = %s\nEndpoint = %s:5182%d\nAllowedIPs = 0.0.0.0/0\n",
			s.Alice.Private, i, s.Gateway.Public, s.IP(s.Addr.HWan), i), 0o600)
	}
	s.A.Run(s.Wgnode, "up", "a") // makes the folders, which stay
	s.A.Run(s.Wgnode, "down", "a")
	state := func() string { return everything(s.A) + s.A.Run("ls", "-A", "/run/wgnode") }
	before := state()
	orders := append(mixed("ud", "ud"), mixed("ukr", "ud")...)
	orders = append(orders, "ua ub uc da db dc", "uc ub ua da db dc",
		"ua ub uc db ka dc ra", "ua ub kb uc ka rb dc ra", "ua ka ub uc ua db dc da")
	for _, order := range orders {
		alive := map[byte]bool{}
		for _, event := range strings.Fields(order) {
			switch name := event[1:]; event[0] {
			case 'u':
				s.A.Run(s.Wgnode, "up", name)
			case 'd':
				s.A.Run(s.Wgnode, "down", name)
			case 'k':
				s.KillOf(s.A, "/run/wgnode/"+name+".json")
			case 'r':
				s.A.Run(s.Wgnode, "recover", name)
			}
			if alive[event[1]] = event[0] == 'u'; alive['a'] || alive['b'] || alive['c'] {
				if got := s.A.Run("sysctl", "-n", "net.ipv4.conf.all.src_valid_mark"); got != "1\n" {
					t.Errorf("%s: after %s src_valid_mark is %s", order, event, got)
				}
			}
		}
		sitetest.Same(t, order+"left", before, state())
	}

	// A reload may end the use, too.
	s.A.Run(s.Wgnode, "up", "a")
	s.A.Run(s.Wgnode, "up", "b")
	conf := s.A.ReadFile("/etc/wireguard/a.conf")
	s.A.WriteFile("/etc/wireguard/a.conf", strings.Replace(conf, "0.0.0.0/0", "10.0.0.0/24", 1), 0o600)
	if out := s.A.Run(s.Wgnode, "reload", "a"); !strings.Contains(out,
		"[!] left as it is: sysctl -q net.ipv4.conf.all.src_valid_mark=1: another program needs it: b\n") {
		t.Errorf("reload printed\n%s", out)
	}
	if out := s.A.Run(s.Wgnode, "down", "b"); !strings.Contains(out, "[#] sysctl -q net.ipv4.conf.all.src_valid_mark=0\n") {
		t.Errorf("down printed\n%s", out)
	}
	if got := s.A.Run("sysctl", "-n", "net.ipv4.conf.all.src_valid_mark"); got != "0\n" {
		t.Errorf("a, which has reloaded, leaves src_valid_mark at %s", got)
	}
	s.A.WriteFile("/etc/wireguard/a.conf", conf, 0o600)
	s.A.Run(s.Wgnode, "reload", "a")
	// What the user sets meanwhile is theirs, and it is said that it stays.
	s.A.Sysctl("net.ipv4.conf.all.src_valid_mark", "0")
	s.A.Run(s.Wgnode, "up", "b")
	s.A.Run(s.Wgnode, "down", "a")
	s.A.Run(s.Wgnode, "down", "b")
	sitetest.Same(t, "left after a change by hand", before, state())
	s.A.Sysctl("net.ipv4.conf.all.src_valid_mark", "1")
	s.A.Run(s.Wgnode, "up", "a")
	s.A.Sysctl("net.ipv4.conf.all.src_valid_mark", "2")
	if out := s.A.Run(s.Wgnode, "down", "a"); !strings.Contains(out,
		"[!] left as it is: net.ipv4.conf.all.src_valid_mark=1 was set here, and another program has changed it since\n") {
		t.Errorf("down printed\n%s", out)
	}
	if got := s.A.Run("sysctl", "-n", "net.ipv4.conf.all.src_valid_mark"); got != "2\n" {
		t.Errorf("down leaves somebody else's src_valid_mark at %s", got)
	}
}
