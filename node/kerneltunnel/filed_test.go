//go:build linux

package kerneltunnel

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
	"github.com/wgnode/wgnode/probe/key"
)

// private is a key pair.
func private(t *testing.T) (key.Private, string) {
	t.Helper()
	k := key.GeneratePrivate()
	return k, k.Base64()
}

// What wg-quick's file says is used where it is the device's, and without secrets.
func TestFiled(t *testing.T) {
	own, secret := private(t)
	_, another := private(t)
	bob, _ := private(t)
	carol, _ := private(t)
	const psk = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="
	f := &filed{path: filepath.Join(t.TempDir(), "wg0.conf")}
	d := &kernelwg.Device{Name: "wg0", Public: own.Public(), Peers: []kernelwg.Peer{{Public: bob.Public(),
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/32")}}}}
	write := func(private string, peers ...key.Private) {
		text := fmt.Sprintf("[Interface]\nPrivateKey = %s\nDNS = 10.0.0.1\n", private)
		for i, p := range peers {
			text += fmt.Sprintf("[Peer]\n# friend%d\nPublicKey = %s\nPresharedKey = %s\n", i, p.Public(), psk) +
				fmt.Sprintf("AllowedIPs = 10.0.0.%d/32, 10.%d.0.0/16\nEndpoint = vpn.example:51820\n", i+2, i+2)
		}
		if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func() *config.Config {
		t.Helper()
		c, err := f.read(d)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := read(); c != nil {
		t.Error("there is no file, and it says something")
	}
	write(secret, bob, carol)
	c := read()
	if c == nil || !c.Interface.PrivateKey.IsZero() || len(c.Peers) != 2 || c.Peers[0].PresharedKey != secretThere || read() != c {
		t.Fatalf("its own file: %+v", c)
	}
	is := applied(c, d)
	if len(is.Peers) != 1 || is.Peers[0].Endpoint != "" || is.Peers[0].PresharedKey == secretThere || len(is.Peers[0].AllowedIPs) != 1 ||
		is.Interface.DNS != nil || written(c)[carol.Public()] != "vpn.example:51820" {
		t.Errorf("as the device has it: %+v", is)
	}
	write(another, bob)
	if c := read(); c == nil || c.Interface.PrivateKey.Public() == own.Public() || c.Interface.PrivateKey.IsZero() {
		t.Errorf("with another private key: %+v", c)
	}
	write(another, carol)
	if c := read(); c != nil {
		t.Errorf("another device's file: %+v", c)
	}
	if err := os.WriteFile(f.path, []byte("[Interface]\nPrivateKey = "+secret+"x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := f.read(d); err == nil || c != nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a broken file: %v, %v", c, err)
	}
}
