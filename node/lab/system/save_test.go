//go:build linux

package system

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// What is saved has what was changed by wg, and else all that the file had: comments,
// the name of the endpoint, hooks that were edited meanwhile.
func TestSaveKeepsWhatTheFileKnows(t *testing.T) {
	lab.Need(t, "bash", "ip", "ps", "wg")
	t.Parallel()
	s := newSite(t, false)
	kim, eve := lab.NewKey(t).Public, lab.NewKey(t).Public
	hub := s.IP(s.Addr.HWan)
	s.A.WriteFile("/etc/hosts", "127.0.0.1 localhost\n"+hub+" hub.example\n", 0o644)
	text := "# Of the office.\n[Interface]\nPrivateKey = " + s.Alice.Private +
		" # made in May\nAddress = 10.0.0.1/24\nListenPort = 51821\nPostUp = true\n" +
		"\n### Client gateway\n[Peer]\nPublicKey = " + s.Gateway.Public +
		"\nEndpoint = hub.example:51820 # by DynDNS\nAllowedIPs = 10.0.0.2/32\n" +
		"\n### Client kim\n[Peer]\n# her phone\nPublicKey = " + kim + "\nAllowedIPs = 10.0.0.3/32\n"
	s.A.WriteFile("/etc/wireguard/wg0.conf", text, 0o600)
	s.A.Run(s.Wgnode, "up", "wg0")
	saved := func(how ...string) string {
		t.Helper()
		s.A.Run(append([]string{s.Wgnode}, how...)...)
		return s.A.ReadFile("/etc/wireguard/wg0.conf")
	}
	want := func(when, want, got string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	want("nothing has changed", text, saved("save", "wg0"))

	text = strings.Replace(text, "PostUp = true", "PostUp = echo edited # here", 1)
	s.A.WriteFile("/etc/wireguard/wg0.conf", text, 0o600)
	s.A.Run("wg", "set", "wg0", "listen-port", "51822", "peer", kim, "remove", "peer", eve, "allowed-ips", "10.0.0.4/32")
	text, _, _ = strings.Cut(strings.Replace(text, "51821", "51822", 1), "### Client kim")
	text += "[Peer]\nPublicKey = " + eve + "\nAllowedIPs = 10.0.0.4/32\n"
	want("a peer went and one came", text, saved("save", "wg0"))

	s.A.Run("wg", "set", "wg0", "peer", s.Gateway.Public, "endpoint", hub+":51820")
	want("the address that the name has", text, saved("save", "wg0"))
	s.A.Run("wg", "set", "wg0", "peer", s.Gateway.Public, "endpoint", "192.0.2.7:7")
	want("another address", strings.Replace(text, "hub.example:51820", "192.0.2.7:7", 1), saved("save", "wg0"))
	s.A.Run(s.Wgnode, "reload", "wg0")

	s.A.WriteFile("/etc/wireguard/wg0.conf", strings.Replace(text, "[Interface]\n", "[Interface]\nSaveConfig = true\n", 1), 0o600)
	s.A.Run(s.Wgnode, "reload", "wg0")
	s.A.Run("wg", "set", "wg0", "peer", eve, "persistent-keepalive", "5")
	want("SaveConfig", strings.Replace(text, "[Interface]\n", "[Interface]\nSaveConfig = true\n", 1)+"PersistentKeepalive = 5\n",
		saved("down", "wg0"))
}

// A peer that moves by itself keeps the name of its endpoint.
func TestSaveOfAPeerThatMoved(t *testing.T) {
	lab.Need(t, "curl", "ip", "wg")
	t.Parallel()
	s := newSite(t, false)
	s.H.WriteFile("/etc/hosts", "127.0.0.1 localhost\n192.0.2.9 alice.example\n", 0o644)
	s.ConfH.Replace(t, "AllowedIPs", "Endpoint = alice.example:51821\nAllowedIPs")
	s.Up(s.H, s.ConfH)
	s.Up(s.A, s.ConfA)
	if got := s.A.Run("curl", "-sS", "-m10", "http://"+s.Web()); got != "hello" {
		t.Fatalf("curl printed %q", got)
	}
	if at := s.H.Run("wg", "show", "wg0", "endpoints"); strings.Contains(at, "192.0.2.9") {
		t.Fatalf("alice has not moved: %s", at)
	}
	s.H.Run(s.Wgnode, "save", "wg0")
	if text := s.H.ReadFile("/etc/wireguard/wg0.conf"); !strings.Contains(text, "Endpoint = alice.example:51821\n") {
		t.Errorf("saved was\n%s", text)
	}
}

// Without comments the file is what wg-quick makes of it.
func TestSaveAsWgQuick(t *testing.T) {
	lab.Need(t, "bash", "ip", "wg", "wg-quick")
	t.Parallel()
	s := newSite(t, false)
	text := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(s.ConfA.Text, "")
	text = strings.Replace(text, "ListenPort", "MTU=1400\nPostDown=true\nPostUp = true %i\nPostUp = :\nTable=auto\nListenPort", 1)
	save := func(args ...string) string {
		s.A.WriteFile("/etc/wireguard/wg0.conf", text, 0o600)
		s.A.Run(args...)
		// One that the kernel has made up is not the file's.
		return regexp.MustCompile(`Address = fe80:.*\n`).ReplaceAllString(s.A.ReadFile("/etc/wireguard/wg0.conf"), "")
	}
	s.A.WriteFile("/etc/wireguard/wg0.conf", text, 0o600)
	s.A.Run(s.Wgnode, "up", "wg0")
	sitetest.Same(t, "saved", save("wg-quick", "save", "wg0"), save(s.Wgnode, "save", "wg0"))
}
