package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe/key"
)

// newKeys returns a private key in text, and the public one.
func newKeys() (private string, public key.Public) {
	k := key.GeneratePrivate()
	return k.Base64(), k.Public()
}

func TestLoadTOML(t *testing.T) {
	dir := t.TempDir()
	private, public := newKeys()
	_, other := newKeys()
	psk := key.GeneratePreshared().Base64()
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "keys/private", private+"\n")
	write(t, dir, "psk", psk)
	for from, line := range map[string]string{
		"a file":       `private_key_file = "keys/private"`,
		"a command":    `private_key_command = "cat ` + dir + `/keys/private; echo warning >&2"`,
		"a credential": `private_key_credential = "private"`,
		"the text":     `private_key = "` + private + `"`,
	} {
		t.Run(from, func(t *testing.T) {
			t.Setenv("CREDENTIALS_DIRECTORY", filepath.Join(dir, "keys"))
			path := write(t, dir, "wgnode.toml", "[interface]\n"+line+"\n[[peer]]\npublic_key = \""+other.Base64()+
				"\"\npreshared_key_file = \"psk\"\n")
			unread, err := Read(path)
			if err != nil {
				t.Fatal(err)
			}
			if unread.Resolved() || !unread.Peers[0].PresharedKey.IsZero() {
				t.Error("Read has read the keys too")
			}
			c, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if c.Name != "wgnode" || c.Interface.PrivateKey.Public() != public || c.Peers[0].PresharedKey.Base64() != psk || !c.Resolved() {
				t.Errorf("got %+v", c)
			}
			if w := c.Warnings(); w != nil {
				t.Errorf("warns: %v", w)
			}
		})
	}
}

// A file with secrets in it that others can read is worth a warning, and only
// such a file.
func TestTOMLWarnsOfOpenFiles(t *testing.T) {
	dir := t.TempDir()
	private, public := newKeys()
	psk := key.GeneratePreshared().Base64()
	peer := "[[peer]]\npublic_key = \"" + public.Base64() + "\"\n"
	open := func(name, text string) string {
		t.Helper()
		path := write(t, dir, name, text)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	open("key", private)
	open("none.toml", peer)
	open("some.toml", peer+"preshared_key = \""+psk+"\"\n")
	for text, want := range map[string]string{
		"":                                        "",
		"mtu = 1400":                              "",
		"private_key = \"" + private + "\"":       "wg0.toml",
		"private_key_file = \"key\"":              "key",
		"peers_file = \"none.toml\"":              "",
		"peers_file = \"some.toml\"":              "some.toml",
		peer + "preshared_key = \"" + psk + "\"":  "wg0.toml",
		peer + "preshared_key_command = \"true\"": "fails",
	} {
		c, err := Load(open("wg0.toml", "[interface]\n"+text))
		if want == "fails" {
			if err == nil {
				t.Errorf("%q: a command that prints nothing gives a key", text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		warnings := strings.Join(c.Warnings(), "\n")
		if want == "" && warnings != "" || want != "" && !strings.HasSuffix(warnings, "/"+want+"' is world accessible") {
			t.Errorf("%q: warnings %q, want one about %q", text, warnings, want)
		}
	}
}

func TestResolveErrors(t *testing.T) {
	dir := t.TempDir()
	private, _ := newKeys()
	write(t, dir, "two", private+"\n"+private+"\n")
	write(t, dir, "long", strings.Repeat("x", maxKeyFile+1))
	write(t, dir, "bad.toml", "[interface]\nmtu = 1400\n[[peer]]\n")
	write(t, dir, "bad.conf", "[Interface]\nMTU = 1400\n[Peer]\n")
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	for line, want := range map[string]string{
		`private_key_file = "none"`: "private_key_file: open none: no such file or directory",
		`private_key_file = "."`:    "private_key_file: open .: is a directory",
		`private_key_file = "two"`: "private_key_file: file two must give one key and nothing " +
			"else: not a key: want 44 characters of base64",
		`private_key_file = "long"`: "private_key_file: file long must give one key and nothing " +
			"else: not a key: want 44 characters of base64",
		`private_key_command = "true"`: "private_key_command: the command must give one key and " +
			"nothing else: not a key: want 44 characters of base64",
		`private_key_command = "cat two; cat two >&2; exit 3"`: `private_key_command: run command: exit status 3: "(hidden)\n(hidden)"`,
		`private_key_command = "cat"`: "private_key_command: the command must give one key and " +
			"nothing else: not a key: want 44 characters of base64",
		`private_key_credential = "wg0"`: "private_key_credential: $CREDENTIALS_DIRECTORY is not set: only systemd " +
			"services with LoadCredential= or the like have credentials",
		`peers_file = "none.toml"`: "peers_file: open none.toml: no such file or directory",
	} {
		err := resolveIn(t, dir, "[interface]\n"+line)
		if want = "wg0.toml:2: " + want; err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", line, err, want)
		}
		if err != nil && leak(err.Error(), private) != "" {
			t.Errorf("%s: %v shows a key", line, err)
		}
	}
	// All at once, each under the name of its own file.
	err := resolveIn(t, dir, "[interface]\nprivate_key_file = \"none\"\npeers_file = \"bad.toml\"")
	const want = "wg0.toml:2: private_key_file: open none: no such file or directory\n" +
		"bad.toml:1: [interface] belongs in the file of a node; this one is for [[peer]] alone\n" +
		"bad.toml:3: public_key: missing in this [[peer]]"
	if err == nil || strings.ReplaceAll(err.Error(), dir+"/", "") != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	err = resolveIn(t, dir, "[interface]\npeers_file = \"bad.conf\"")
	const wantConf = "bad.conf:1: [Interface] belongs in the file of a node; this one is for [Peer] alone\n" +
		"bad.conf:3: PublicKey: missing in this [Peer]"
	if err == nil || err.Error() != wantConf {
		t.Errorf("got\n%v\nwant\n%s", err, wantConf)
	}
}

// resolveIn resolves a text as if it was a file of the folder.
func resolveIn(t *testing.T, dir, text string) error {
	t.Helper()
	t.Chdir(dir)
	c, err := ParseTOML(strings.NewReader(text), "wg0.toml")
	if err != nil {
		t.Fatal(err)
	}
	err = c.Resolve(t.Context())
	if err != nil && (c.Resolved() || !c.Interface.PrivateKey.IsZero()) {
		t.Errorf("%s: failed, and changed it", text)
	}
	return err
}

func TestSharedPeers(t *testing.T) {
	dir := t.TempDir()
	private, self := newKeys()
	var pubs [4]key.Public
	for i := range pubs {
		_, pubs[i] = newKeys()
	}
	psk := key.GeneratePreshared()
	shared := func(begin, name, public, allowed, endpoint string) string {
		var b strings.Builder
		for i, k := range []key.Public{self, pubs[0], pubs[1], pubs[2]} {
			fmt.Fprintf(&b, begin+name+public+allowed+endpoint, i, k, i, i)
		}
		return b.String()
	}
	write(t, dir, "peers.toml", shared("[[peer]]\n", "name = \"host %d\"\n", "public_key = \"%s\"\n",
		"allowed_ips = [\"10.0.%d.0/24\"]\n", "endpoint = \"host%d:51820\"\n"))
	write(t, dir, "peers.conf", shared("[Peer]\n", "# Name = host %d\n", "PublicKey = %s\n", "AllowedIPs = 10.0.%d.0/24\n",
		"Endpoint = host%d:51820\n"))
	for _, file := range []string{"peers.toml", "peers.conf"} {
		text := "[interface]\nprivate_key = \"" + private + "\"\npeers_file = \"" + file + "\"\n" +
			"[[peer]]\npublic_key = \"" + pubs[1].Base64() + "\"\npreshared_key = \"" + psk.Base64() + "\"\nendpoint = \"other:1\"\n" +
			"[[peer]]\nname = \"mine\"\npublic_key = \"" + pubs[3].Base64() + "\"\nallowed_ips = [\"10.0.3.0/24\"]\n"
		path := write(t, dir, "wg0.toml", text)
		c, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		want := []Peer{
			{Name: "host 1", PublicKey: pubs[0], Shared: true, Endpoint: "host1:51820", AllowedIPs: prefixes("10.0.1.0/24")},
			{Name: "host 3", PublicKey: pubs[2], Shared: true, Endpoint: "host3:51820", AllowedIPs: prefixes("10.0.3.0/24")},
			{Name: "host 2", PublicKey: pubs[1], PresharedKey: psk, Endpoint: "other:1", AllowedIPs: prefixes("10.0.2.0/24")},
			{Name: "mine", PublicKey: pubs[3], AllowedIPs: prefixes("10.0.3.0/24")},
		}
		if diff := cmp.Diff(want, c.Peers, same); diff != "" {
			t.Errorf("%s: want -, got +\n%s", file, diff)
		}
		warnings := strings.Join(c.Warnings(), "\n")
		if !strings.Contains(warnings, "wg0.toml:11: allowed_ips: 10.0.3.0/24 was given to peer host 3 in "+filepath.Join(dir, file)+
			"; only peer mine gets it") {
			t.Errorf("warnings %q", warnings)
		}
		// What is written says where they come from, and reads the same.
		if err := c.WriteFile(path, true); err != nil {
			t.Fatal(err)
		}
		again, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, again, same); diff != "" {
			t.Errorf("%s: was -, is +\n%s", file, diff)
		}
		c.Inline()
		if err := c.WriteFile(filepath.Join(dir, "wg0.conf"), true); err != nil {
			t.Errorf("inlined: %v", err)
		}
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	c := mustParse(t, full)
	path := filepath.Join(dir, "wg0.toml")
	if err := c.WriteFile(path, false); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := c.WriteFile(path, false); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	if err := c.WriteFile(path, true); err != nil {
		t.Errorf("over a file, asked: %v", err)
	}
	if err := c.WriteFile(filepath.Join(dir, "wg0.txt"), false); err == nil {
		t.Error("wrote a format that there is not")
	}
	// What cannot be said leaves nothing behind.
	if err := mustParseTOML(t, fullTOML).WriteFile(filepath.Join(dir, "wg0.conf"), false); err == nil {
		t.Error("wrote a .conf of what it cannot say")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestFindTOML(t *testing.T) {
	etc, cwd := t.TempDir(), t.TempDir()
	f := finder{Dir: etc, Cwd: cwd}
	own := write(t, etc, "wg0.toml", "")
	if got, err := f.find("wg0"); err != nil || got != own {
		t.Errorf("only a .toml: %q, %v", got, err)
	}
	if _, err := f.find(""); err == nil || !strings.HasSuffix(err.Error(), "holds wg0.toml") {
		t.Errorf("a .toml is no .conf: %v", err)
	}
	conf := write(t, etc, "wg0.conf", "")
	for _, arg := range []string{"wg0", ""} {
		if got, err := f.find(arg); err != nil || got != conf {
			t.Errorf("Find(%q) with both: %q, %v", arg, got, err)
		}
	}
	write(t, etc, "wg1.conf", "")
	if _, err := f.find(""); err == nil || !strings.HasSuffix(err.Error(), "holds wg0.conf, wg0.toml, wg1.conf") {
		t.Errorf("more than one: %v", err)
	}
}
