//go:build linux

package system

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// hookedDevice is A's configuration without what its hooks give the device: the
// private key, a port, a mark, a preshared key, a peer and prefixes.
func hookedDevice(t *testing.T, s *site, phase string) (set, other string) {
	key := s.Alice.Private
	other = lab.NewKey(t).Public
	s.A.WriteFile("/etc/private-key", key+"\n", 0o600)
	s.A.WriteFile("/etc/preshared-key", strings.Repeat("Z", 42)+"Y=\n", 0o600)
	s.ConfA.Replace(t, "PrivateKey = "+key+"\n", "")
	s.ConfA.Replace(t, "ListenPort = "+field(t, s.ConfA.Text, "ListenPort")+"\n", "")
	set = "wg set %i private-key /etc/private-key listen-port 51999 fwmark 0x77" +
		" peer " + s.Gateway.Public + " preshared-key /etc/preshared-key persistent-keepalive 17" +
		" peer " + other + " allowed-ips 10.50.0.0/16,fd50::/64 endpoint 192.0.2.9:9 persistent-keepalive 19"
	s.ConfA.Replace(t, "[Interface]\n", "[Interface]\n"+phase+" = "+set+"\n")
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	return set, other
}

// field is the value of a key in a .conf.
func field(t *testing.T, text, key string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, key+" = "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("no %s in\n%s", key, text)
	return ""
}

// ofDevice is what the device of A has, in a fixed order.
func ofDevice(s *site) string {
	return s.A.Run("sh", "-c", `wg show wg0 private-key; wg show wg0 listen-port; wg show wg0 fwmark
		for what in preshared-keys persistent-keepalive endpoints; do wg show wg0 $what | sort; done
		wg show wg0 allowed-ips | tr '\t ' '\n\n' | sort`)
}

// What PreUp gives the device is there when the tunnel is up, and routes, table and
// rules follow it, as with upstream's wg-quick, which adds the file to it.
func TestPreUpSurvives(t *testing.T) {
	lab.Need(t, "bash", "ip", "nft", "ps", "wg")
	t.Parallel()
	s := newSite(t, false)
	s.ConfA.Replace(t, "AllowedIPs = ", "AllowedIPs = 0.0.0.0/0, ")
	_, other := hookedDevice(t, s, "PreUp")
	before := sitetest.HostState(s.A)
	s.A.Run(s.Wgnode, "up", "wg0")
	has := ofDevice(s)
	if key, _, _ := strings.Cut(has, "\n"); key == "(none)" {
		t.Error("the private key is gone")
	}
	for _, want := range []string{
		"\n51999", "0x77", s.Gateway.Public + "\t17", other + "\t19",
		s.Gateway.Public + "\t" + strings.Repeat("Z", 42) + "Y=", "10.50.0.0/16", "fd50::/64", "192.0.2.9:9",
	} {
		if !strings.Contains(has, want+"\n") {
			t.Errorf("no %q in what the device has:\n%s", want, has)
		}
	}
	for _, c := range []struct{ command, want string }{
		{"ip route show table 119", "default dev wg0"},
		{"ip rule", "not from all fwmark 0x77 lookup 119"},
		{"ip route", "10.50.0.0/16 dev wg0"},
		{"ip -6 route", "fd50::/64 dev wg0"},
		{"nft list ruleset", "0x00000077"},
	} {
		if out := s.A.Run("sh", "-c", c.command); !strings.Contains(out, c.want) {
			t.Errorf("%s lacks %q:\n%s", c.command, c.want, out)
		}
	}
	whole := everythingOf(s)
	if out := s.A.Run(s.Wgnode, "reload", "wg0"); strings.Contains(out, "[#]") || everythingOf(s) != whole {
		t.Errorf("reload printed\n%s\nand led to\n%s\nit was\n%s", out, everythingOf(s), whole)
	}
	if again := ofDevice(s); again != has {
		t.Errorf("after reload the device has\n%s\nit had\n%s", again, has)
	}
	s.A.Run(s.Wgnode, "down", "wg0")
	sitetest.Unchanged(t, s.A, before)
}

// A reload leaves alone what hooks have set and no file has stated, and says so;
// what the file stated, and states no more, it takes back.
func TestReloadLeavesWhatHooksSet(t *testing.T) {
	lab.Need(t, "bash", "ip", "nft", "ps", "wg")
	t.Parallel()
	s := newSite(t, false)
	set, other := hookedDevice(t, s, "PostUp")
	plain := s.ConfA.Text
	stated := strings.Replace(plain, set, set+"; wg set %i peer "+s.Gateway.Public+" allowed-ips +10.60.0.0/16", 1)
	if strings.Contains(s.A.Run("wg", "--version"), "2021") { // which knows no +
		stated = strings.Replace(stated, "wg set %i peer "+s.Gateway.Public, s.Wgnode+" set %i peer "+s.Gateway.Public, 1)
	}
	write := func(text string) { s.A.WriteFile("/etc/wireguard/wg0.conf", text, 0o600) }
	write(stated)
	s.A.Run(s.Wgnode, "up", "wg0")
	has := ofDevice(s)
	host := everythingOf(s)

	out := s.A.Run(s.Wgnode, "reload", "wg0")
	for _, want := range []string{
		"the private key", "the mark 0x77", "the port 51999", "peer " + other[:4],
		"the preshared key, the keepalive of 17s, 10.60.0.0/16 of peer",
	} {
		if !strings.Contains(out, "left as it is, because the file does not state it: "+want) {
			t.Errorf("reload does not say that it leaves %s:\n%s", want, out)
		}
	}
	if strings.Contains(out, "[#]") {
		t.Errorf("reload changed\n%s", out)
	}
	if again := ofDevice(s); again != has || everythingOf(s) != host {
		t.Errorf("after reload the device has\n%s\nit had\n%s", again, has)
	}

	// The file comes to state some of it, and then states it no more.
	more := strings.Replace(stated, "[Peer]\n", "[Peer]\nPersistentKeepalive = 17\nPresharedKey = "+strings.Repeat("Z", 42)+"Y=\n", 1) +
		"[Peer]\nPublicKey = " + other + "\nAllowedIPs = 10.50.0.0/16\n"
	write(more)
	s.A.Run(s.Wgnode, "reload", "wg0")
	if again := ofDevice(s); again != has {
		t.Errorf("when the file states the same the device has\n%s\nit had\n%s", again, has)
	}
	// A failure takes nothing away that hooks have set.
	write(more + "[Peer]\nPublicKey = " + lab.NewKey(t).Public + "\nAllowedIPs = " + s.Addr.A.V4.Masked().String() + "\n")
	if out, status, err := s.A.Try(s.Wgnode, "reload", "wg0"); err != nil || status != 1 {
		t.Errorf("reload: %d, %v\n%s", status, err, out)
	}
	if again := ofDevice(s); again != has {
		t.Errorf("after a failure the device has\n%s\nit had\n%s", again, has)
	}
	write(stated)
	s.A.Run(s.Wgnode, "reload", "wg0")
	now := ofDevice(s)
	for _, gone := range []string{"\t17\n", "ZZY=\n", other, "10.50.0.0/16\n"} {
		if !strings.Contains(has, gone) || strings.Contains(now, gone) {
			t.Errorf("%q is still there:\n%s", gone, now)
		}
	}
	private, _, _ := strings.Cut(has, "\n")
	for _, stays := range []string{private + "\n51999\n0x77\n", "10.60.0.0/16\n"} {
		if !strings.Contains(now, stays) {
			t.Errorf("%q is gone:\n%s", stays, now)
		}
	}
	s.A.Run(s.Wgnode, "down", "wg0")
}

// Upstream's wg-quick takes table, routes and MTU from the device and the link as
// PreUp has left them. The installed one may be older and has no link for PreUp, so
// this is what upstream's was seen to do.
func TestPreUpCounts(t *testing.T) {
	lab.Need(t, "bash", "wg", "ip", "nft", "ps")
	t.Parallel()
	const iface = "[Interface]\nPrivateKey = KEY\nListenPort = 51821\nAddress = 10.0.0.1/24\n"
	const peer = "[Peer]\nPublicKey = A\nEndpoint = 203.0.113.2:51820\nAllowedIPs = "
	wgnode := lab.Wgnode(t)
	for _, tc := range []struct{ name, preUp, allowed, command, want string }{
		{name: "an endpoint behind a smaller MTU", preUp: "wg set %i peer B endpoint 192.0.2.9:9", allowed: "10.7.0.0/16",
			command: "ip -o link show wg0 | grep -o 'mtu [0-9]*'; ip route get 192.0.2.9 | grep -o eth1", want: "mtu 1320\neth1\n"},
		{name: "a default route", preUp: "wg set %i peer B allowed-ips 0.0.0.0/0", allowed: "10.7.0.0/16",
			command: "ip route show table 51820; wg show wg0 fwmark", want: "default dev wg0 scope link \n0xca6c\n"},
		{name: "a mark", preUp: "wg set %i fwmark 0x99", allowed: "0.0.0.0/0", command: "ip route show table 153",
			want: "default dev wg0 scope link \n"},
		{name: "an address", preUp: "ip address add 10.7.0.1/16 dev %i", allowed: "10.7.0.0/16, 10.7.3.0/24",
			command: "ip route | grep -o '.* dev wg0 proto kernel'", want: "10.0.0.0/24 dev wg0 proto kernel\n10.7.0.0/16 dev wg0 proto kernel\n"},
		{name: "a route in the first table", preUp: "ip route add 10.5.0.0/16 via 10.9.1.1 table 51820", allowed: "0.0.0.0/0",
			command: "ip route show table 51821; wg show wg0 fwmark", want: "default dev wg0 scope link \n0xca6d\n"},
		{name: "what the file states", preUp: "wg set %i peer A allowed-ips 10.1.0.0/16 persistent-keepalive 5 endpoint " +
			"192.0.2.9:9", allowed: "10.7.0.0/16",
			command: "wg show wg0 allowed-ips; wg show wg0 endpoints; wg show wg0 persistent-keepalive",
			want:    fillKeys("A\t10.7.0.0/16\nA\t203.0.113.2:51820\nA\t5\n")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newQuickHost(t)
			h.WriteFile("/etc/wireguard/wg0.conf", fillKeys(iface+"PreUp = "+tc.preUp+"\n"+peer+tc.allowed+"\n"), 0o600)
			h.with("LC_ALL=C", wgnode, "up", "wg0")
			if got := h.script(tc.command); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			h.with("LC_ALL=C", wgnode, "reload", "wg0")
			if got := h.script(tc.command); got != tc.want {
				t.Errorf("after reload\n%s\nwant\n%s", got, tc.want)
			}
			h.with("LC_ALL=C", wgnode, "down", "wg0")
		})
	}
}

// A mark that PreUp sets is the one that the kill switch lets out: it stands before
// the hook runs, and is changed.
func TestPreUpMarkAndKillSwitch(t *testing.T) {
	lab.Need(t, "bash", "ip", "nft", "ping", "ps", "wg")
	t.Parallel()
	s := newSite(t, false)
	s.Up(s.H, s.ConfH)
	s.toml(fullIPs, "kill_switch = true\npre_up = [\"wg set %i fwmark 0x99\"]", "")
	before := everything(s.A)
	s.A.Run(s.Wgnode, "up", tomlPath)
	rules := s.A.Run("nft", "list", "ruleset")
	if !strings.Contains(rules, "0x00000099") || strings.Contains(rules, "0x0000ca6c") {
		t.Errorf("the rules go by another mark:\n%s", rules)
	}
	s.A.Run("ping", "-c1", "-W10", "10.0.0.2")
	if out := s.A.Run(s.Wgnode, "reload", "wg0"); strings.Contains(out, "[#]") {
		t.Errorf("reload changed\n%s", out)
	}
	s.A.Run("ping", "-c1", "-W10", "10.0.0.2")
	s.A.Run(s.Wgnode, "down", "wg0")
	if after := everything(s.A); after != before {
		sitetest.Same(t, "left by down", before, after)
	}
}
