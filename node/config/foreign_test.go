package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzReadForeign wants no crash and no secret in an error, and what is read to be written.
func FuzzReadForeign(f *testing.F) {
	f.Add("[NetDev]\nName=wg5\nKind=wireguard\n[WireGuard]\nPrivateKey=" + privText + "\n" +
		"[WireGuardPeer]\nPublicKey=" + pubA + "\nAllowedIPs=0.0.0.0/0\n")
	f.Add("[connection]\ntype=wireguard\ninterface-name=wg5\n[wireguard]\nprivate-key=" + privText + "\n" +
		"[wireguard-peer." + pubA + "]\nallowed-ips=::/0;\n")
	f.Add("[connection]\ntype=wireguard\n[ipv4]\nroute1=10.0.0.0/8,10.0.0.1\ndns=1.1.1.1#a;\\\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "wg5.netdev")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := ReadForeign(path, false)
		if err != nil {
			if strings.Contains(err.Error(), privText) {
				t.Errorf("the error holds the key: %v", err)
			}
			return
		}
		var b strings.Builder
		if err := r.Config.WriteTOML(&b); err != nil {
			return // what is not UTF-8
		}
		if _, err := ParseTOML(strings.NewReader(b.String()), "wg5.toml"); err != nil {
			t.Errorf("%v in\n%s\nof\n%s", err, b.String(), text)
		}
	})
}
