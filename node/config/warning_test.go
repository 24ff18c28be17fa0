package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// A warning about a file's rights is gone with its cause, and one comes when a
// file is opened to all later on.
func TestWarningsNow(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "wg 0.toml")
	keyFile := filepath.Join(dir, "private")
	for file, text := range map[string]string{
		keyFile: privText + "\n",
		path: "[interface]\nname = \"wg0\"\nprivate_key_file = \"" + keyFile + "\"\n[[peer]]\npublic_key = \"" + pubA +
			"\"\nallowed_ips = [\"10.0.0.2/32\"]\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil { // it has no secrets in it
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o600, 0o644, 0o640} {
		if err := os.Chmod(keyFile, mode); err != nil {
			t.Fatal(err)
		}
		ws := c.WarningsNow()
		if mode != 0o644 {
			if len(ws) != 0 {
				t.Errorf("mode %o: %+v", mode, ws)
			}
			continue
		}
		if len(ws) != 1 || ws[0].Kind != WarnWorldReadable || ws[0].Text != "`"+keyFile+"' is world accessible" ||
			ws[0].Fix[0].Line() != "chmod o= "+keyFile {
			t.Errorf("mode %o: %+v", mode, ws)
		}
	}
}

func TestWarnsOfOwnKey(t *testing.T) {
	c := mustParse(t, "[Interface]\nPrivateKey="+privText+"\n[Peer]\nPublicKey="+pubA+"\n[Peer]\n# Name = me\nPublicKey="+pubB)
	c.Peers[1].PublicKey = c.Interface.PrivateKey.Public()
	ws := c.WarningsNow()
	if len(ws) != 1 || ws[0].Kind != WarnOwnKey ||
		!strings.HasPrefix(ws[0].Text, "/etc/wireguard/wg0.conf:7: PublicKey: is this interface's own") {
		t.Errorf("%+v", ws)
	}
	if got := strings.Join(c.Warnings(), "\n"); got != ws[0].Text {
		t.Errorf("Warnings: %q", got)
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{
		"/etc/wireguard/wg0.conf": "/etc/wireguard/wg0.conf",
		"/tmp/my files/it's.conf": `'/tmp/my files/it'\''s.conf'`,
		"":                        "''",
	} {
		if got := ShellQuote(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestSearchAloneWarns(t *testing.T) {
	c := mustParse(t, "[Interface]\nDNS=corp.example")
	want := []string{"/etc/wireguard/wg0.conf:2: DNS: holds only search domains: without a name server they do nothing, as with wg-quick"}
	if got := c.Warnings(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestWarnings(t *testing.T) {
	c := mustParse(t, "[Peer]\n# Name = a\nPublicKey="+pubA+"\nAllowedIPs=10.0.0.7/24\n"+
		"[Peer]\nPublicKey="+pubB+"\nAllowedIPs=10.0.0.0/24\n[Peer]\nPublicKey="+pubA)
	want := []string{
		"/etc/wireguard/wg0.conf:4: AllowedIPs: 10.0.0.7/24 has a nonzero host part, 10.0.0.0/24 is used",
		"/etc/wireguard/wg0.conf:7: AllowedIPs: 10.0.0.0/24 was given to peer a before; only peer BBBBBBBB… gets it",
		"/etc/wireguard/wg0.conf:8: PublicKey: the same as in line 1: they are one peer, and the later AllowedIPs count",
	}
	if got := c.Warnings(); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
