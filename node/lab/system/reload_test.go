//go:build linux

package system

import (
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/patience"
)

// everythingOf is all of a host that a tunnel changes, in an order that does not
// depend on when it came.
func everythingOf(s *site) string {
	state := sitetest.Routing(s.A) + s.A.Run("sh", "-c", "ip -o address | sort; cat /etc/resolv.conf 2>/dev/null | grep -v '^#' || true") +
		s.A.Run("sh", "-c", "wg show wg0 allowed-ips | sort; wg show wg0 fwmark; wg show wg0 listen-port; wg show wg0 "+
			"persistent-keepalive | sort")
	state = regexp.MustCompile(`(?m)^\d+: | tentative| expires \w+|fe80::\S+`).ReplaceAllString(state, "")
	return state
}

// A reload leads to what the new file would have led to, and the session of the
// peer that stays goes on.
func TestReload(t *testing.T) {
	lab.Need(t, "bash", "ip", "nft", "ps", "wg", "curl")
	t.Parallel()
	s := newSite(t, false)
	s.A.WriteFile("/etc/resolv.conf", "nameserver 192.0.2.1\n", 0o644)
	before := sitetest.HostState(s.A)
	first := s.ConfA.Text
	other := lab.NewKey(t).Public
	full := regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllString(first, "AllowedIPs = 0.0.0.0/0, ::/0")
	full = strings.Replace(full, "Address = 10.0.0.1/24", "DNS = 10.0.0.2\nMTU = 1350\nAddress = 10.0.0.1/32, 10.7.7.1/24", 1) +
		"PersistentKeepalive = 21\n[Peer]\nPublicKey = " + other + "\nAllowedIPs = 10.44.0.0/16\n"
	write := func(text string) { s.A.WriteFile("/etc/wireguard/wg0.conf", text, 0o600) }

	want := make(map[string]string)
	for _, text := range []string{first, full} {
		write(text)
		s.A.Run(s.Wgnode, "up", "wg0")
		want[text] = everythingOf(s)
		s.A.Run(s.Wgnode, "down", "wg0")
	}

	s.UpBoth()
	if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
		t.Fatalf("curl printed %q", got)
	}
	session := func() string { return s.A.Run("wg", "show", "wg0", "latest-handshakes") }
	handshake := strings.Fields(session())[1]
	for _, text := range []string{full, first, full} {
		write(text)
		out := s.A.Run(s.Wgnode, "reload", "wg0")
		if got := everythingOf(s); got != want[text] {
			t.Errorf("reload printed\n%s\nand led to\n%s\nup leads to\n%s", out, got, want[text])
		}
		if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
			t.Errorf("curl printed %q", got)
		}
		if !strings.Contains(session(), s.Gateway.Public+"\t"+handshake+"\n") {
			t.Errorf("the session has ended: %s", session())
		}
		if again := s.A.Run(s.Wgnode, "reload", "wg0"); again != "" {
			t.Errorf("a second time it does\n%s", again)
		}
	}

	// What cannot be is refused, and changes nothing.
	now := everythingOf(s)
	write(strings.Replace(full, "MTU = 1350", "MTU = x", 1))
	sitetest.Fails(t, s.A, 1, "/etc/wireguard/wg0.conf:", s.Wgnode, "reload", "wg0")
	write(strings.Replace(full, "AllowedIPs = 10.44.0.0/16", "AllowedIPs = 10.44.0.0/16, "+s.Addr.A.V4.Masked().String(), 1))
	sitetest.Fails(t, s.A, 1, "the route already exists (dev ", s.Wgnode, "reload", "wg0")
	if got := everythingOf(s); got != now {
		t.Errorf("after a failure\n%s\nwas\n%s", got, now)
	}
	s.A.Run(s.Wgnode, "down", "wg0")
	sitetest.Unchanged(t, s.A, before)
	if conf := s.A.ReadFile("/etc/resolv.conf"); conf != "nameserver 192.0.2.1\n" {
		t.Errorf("resolv.conf is %q", conf)
	}
}

// SIGHUP reloads, too, and a peer that has moved keeps its endpoint.
func TestReloadBySignal(t *testing.T) {
	lab.Need(t, "bash", "ip", "ps", "wg")
	t.Parallel()
	s := newSite(t, false)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	node := s.A.Start(s.Wgnode, "run", "wg0")
	s.AwaitNode()
	s.A.Run("wg", "set", "wg0", "peer", s.Gateway.Public, "endpoint", "192.0.2.77:7")
	s.A.WriteFile("/etc/wireguard/wg0.conf", strings.Replace(s.ConfA.Text, "AllowedIPs = ", "AllowedIPs = 10.55.0.0/16, ", 1), 0o600)
	if err := node.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	node.WaitOutput(patience.Context(t), "ip -4 route add 10.55.0.0/16 dev wg0")
	if out := s.A.Run("wg", "show", "wg0", "endpoints"); !strings.Contains(out, "192.0.2.77:7") {
		t.Errorf("endpoints: %s", out)
	}
	node.Stop()
	if err := node.Wait(); err != nil {
		t.Error(err)
	}
}
