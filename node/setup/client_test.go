package setup

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/key"
)

func TestEndpoint(t *testing.T) {
	for said, want := range map[string]string{
		"vpn.example":        "vpn.example:51820",
		"vpn.example:443":    "vpn.example:443",
		"203.0.113.1":        "203.0.113.1:51820",
		"203.0.113.1:1":      "203.0.113.1:1",
		"2001:db8::1":        "[2001:db8::1]:51820",
		"[2001:db8::1]":      "[2001:db8::1]:51820",
		"[2001:db8::1]:9":    "[2001:db8::1]:9",
		"https://a.example/": "",
		"a b":                "",
		"a:b":                "",
	} {
		if got, err := Endpoint(said, 51820); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v, want %q", said, got, err, want)
		}
	}
	if _, err := Endpoint("vpn.example", 0); !errors.Is(err, ErrNoPort) {
		t.Errorf("without a port: %v", err)
	}
	if got, err := Endpoint("vpn.example:9", 0); err != nil || got != "vpn.example:9" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestUplink(t *testing.T) {
	a := func(s string) netip.Addr {
		if s == "" {
			return netip.Addr{}
		}
		return netip.MustParseAddr(s)
	}
	for _, c := range []struct {
		four, six, want string
		reach           Reach
	}{
		{"203.0.113.1", "2001:db8::1", "203.0.113.1", Global},
		{"192.168.1.2", "2001:db8::1", "2001:db8::1", Global},
		{"192.168.1.2", "fd00::1", "192.168.1.2", Private},
		{"100.64.3.4", "", "100.64.3.4", Private},
		{"", "fe80::1", "", Nowhere},
		{"", "", "", Nowhere},
	} {
		if got, reach := Uplink(a(c.four), a(c.six)); got != a(c.want) || reach != c.reach {
			t.Errorf("%s %s: %v %v", c.four, c.six, got, reach)
		}
	}
}

// The two files are each other's other end.
func TestClientConfig(t *testing.T) {
	server := &config.Config{Name: "wg0", Interface: config.Interface{PrivateKey: key.GeneratePrivate(), ListenPort: 51820,
		Addresses: prefixes("10.0.0.1/24", "fd00::1/64", "10.9.9.9/32"), MTU: 1380}}
	private := key.GeneratePrivate()
	c := Client{Name: "phone", Private: private, Public: private.Public(), Preshared: key.GeneratePreshared(), Server: "hub",
		Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")}, Endpoint: "vpn.example:51820",
		DNS: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, Routes: prefixes("192.168.0.0/16"), Keepalive: 25}
	text := func(c *config.Config) string {
		t.Helper()
		var b strings.Builder
		if err := c.WriteConf(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	want := "[Interface]\nAddress = 10.0.0.2/32\nAddress = fd00::2/128\nDNS = 10.0.0.1\nMTU = 1380\nPrivateKey = " + private.Base64() +
		"\n\n[Peer]\n# Name = hub\nPublicKey = " + server.Interface.PrivateKey.Public().Base64() + "\nPresharedKey = " + c.Preshared.Base64() +
		"\nAllowedIPs = 10.0.0.0/24, fd00::/64, 10.9.9.9/32, 192.168.0.0/16\nEndpoint = vpn.example:51820\nPersistentKeepalive = 25\n"
	if got := text(c.Config(server)); got != want {
		t.Errorf("the client's file:\n%s\nwant\n%s", got, want)
	}
	c.Full = true
	if got := text(c.Config(server)); !strings.Contains(got, "AllowedIPs = 0.0.0.0/0, ::/0\n") {
		t.Errorf("a full tunnel:\n%s", got)
	}
	p := c.Peer()
	if p.PublicKey != private.Public() || p.PresharedKey != c.Preshared || p.Name != "phone" || len(p.AllowedIPs) != 2 ||
		p.AllowedIPs[1].String() != "fd00::2/128" {
		t.Errorf("the server's section: %+v", p)
	}
}

func TestKept(t *testing.T) {
	server := filepath.Join(t.TempDir(), "wg0.conf")
	private := key.GeneratePrivate()
	client := &config.Config{Interface: config.Interface{PrivateKey: private}}
	if _, err := Kept(server, "phone", private.Public()); !errors.Is(err, ErrNotKept) {
		t.Errorf("nothing is kept: %v", err)
	}
	for _, name := range []string{"../x", ".x", "a/b", "", "a b"} {
		if err := Keep(server, name, client); !errors.As(err, new(*NameError)) {
			t.Errorf("%q is kept: %v", name, err)
		}
	}
	if err := Keep(server, "phone", client); err != nil {
		t.Fatal(err)
	}
	if err := Keep(server, "phone", client); !errors.Is(err, os.ErrExist) {
		t.Errorf("kept twice: %v", err)
	}
	path := KeptPath(server, "phone")
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if c, err := Kept(server, "phone", private.Public()); err != nil || c.Interface.PrivateKey != private {
		t.Errorf("%v", err)
	}
	if _, err := Kept(server, "phone", key.Public{1}); !errors.Is(err, ErrNotKept) {
		t.Errorf("of another key: %v", err)
	}
	if err := Forget(server, "phone"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
}
