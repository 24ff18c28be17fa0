package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/key"
)

func newPeer(name string) *Peer {
	return &Peer{Name: name, PublicKey: key.Public{7}, PresharedKey: key.Preshared{8},
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.9/32"), netip.MustParsePrefix("fd0a::9/128")}}
}

// edited writes a text into a file, changes that, and returns what it holds then.
func edited(t *testing.T, file, text string, change func(*Config) (*Edit, error)) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	c, err := Inspect(path)
	if err != nil {
		t.Fatal(err)
	}
	e, err := change(c)
	if err != nil {
		return "", err
	}
	if err := e.Write(); err != nil {
		t.Fatal(err)
	}
	if err := e.Write(); err == nil || !strings.Contains(err.Error(), "another program has changed it") {
		t.Errorf("written twice: %v", err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := e.Restore(); err != nil {
		t.Fatal(err)
	}
	if is, err := os.ReadFile(path); err != nil || string(is) != text {
		t.Errorf("restored, it is\n%s", is)
	}
	return string(after), nil
}

// What was written stays; the peer comes last, and goes without a trace.
func TestAddAndRemovePeer(t *testing.T) {
	tight := "[Interface]\nPrivateKey=" + privText + "\nAddress=10.0.0.1/24\n[Peer]\nPublicKey=" + pubA + "\nAllowedIPs=10.0.0.2/32\n"
	for name, test := range map[string]struct{ file, text, added string }{
		"conf":                   {"wg0.conf", savedConf, "\n[Peer]\n# Name = phone\nPublicKey = "},
		"toml":                   {"wg0.toml", savedTOML, "\n[[peer]]\nname = \"phone\"\npublic_key = \""},
		"without comments":       {"wg0.conf", tight, "\n[Peer]\n# Name = phone\nPublicKey = "},
		"without a last newline": {"wg0.conf", strings.TrimSuffix(tight, "\n"), "AllowedIPs=10.0.0.2/32\n\n[Peer]\n# Name = phone\n"},
		"of Windows":             {"wg0.conf", strings.ReplaceAll(savedConf, "\n", "\r\n"), "[Peer]\n# Name = phone\n"},
		"keys elsewhere": {"wg0.toml", "[interface]\nprivate_key_command = \"exit 1\"\npeers_file = \"none.toml\"\n" +
			"[[socks5]]\nlisten = \"127.0.0.1:1080\"\n", "\n[[peer]]\nname = \"phone\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			add := func(c *Config) (*Edit, error) { return c.AddPeer(newPeer("phone")) }
			with, err := edited(t, test.file, test.text, add)
			if err != nil {
				t.Fatal(err)
			}
			if rest, ok := strings.CutPrefix(with, test.text); !ok || !strings.Contains("\n"+with, test.added) || !strings.Contains(rest, "phone") {
				t.Errorf("added:\n%s", with)
			}
			without, err := edited(t, test.file, with, func(c *Config) (*Edit, error) { return c.RemovePeer(key.Public{7}) })
			if want := strings.TrimRight(test.text, "\n") + "\n"; err != nil || without != want {
				t.Errorf("removed (%v), it is\n%q\nwant\n%q", err, without, want)
			}
		})
	}
}

// A comment that is the name of the only peer is not taken for a name among several.
func TestAddPeerKeepsNames(t *testing.T) {
	text := "[Interface]\nPrivateKey = " + privText + "\n\n# laptop\n[Peer]\nPublicKey = " + pubA + "\nAllowedIPs = 10.0.0.2/32\n"
	with, err := edited(t, "wg0.conf", text, func(c *Config) (*Edit, error) { return c.AddPeer(newPeer("phone")) })
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(strings.NewReader(with), "wg0.conf")
	if err != nil || len(c.Peers) != 2 || c.Peers[0].Name != "laptop" || c.Peers[1].Name != "phone" {
		t.Errorf("%v in\n%s", err, with)
	}
}

func TestAddPeerRefuses(t *testing.T) {
	for name, want := range map[string]string{
		"":                       "is empty",
		"a\nEndpoint = b:1":      "not a valid peer name",
		" a":                     "not a valid peer name",
		"\x1b[2J":                "not a valid peer name",
		pubA:                     "a key is not a valid peer name",
		strings.Repeat("a", 100): "longer than 64 bytes",
	} {
		if text, err := edited(t, "wg0.conf", savedConf, func(c *Config) (*Edit, error) { return c.AddPeer(newPeer(name)) }); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\n%s", name, err, text)
		}
	}
	if _, err := edited(t, "wg0.conf", savedConf, func(c *Config) (*Edit, error) { return c.RemovePeer(key.Public{7}) }); err == nil {
		t.Error("a peer that is not there was removed")
	}
}
