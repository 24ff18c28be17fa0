package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/safefile"
)

// stranger is a user whom nobody trusts.
const stranger = 54321

// trustFiles writes the files that TestLoadTrusts loads, and makes one of them a
// stranger's, unless change is "". In their texts DIR is the folder, which it returns.
func trustFiles(t *testing.T, change string) (dir string) {
	t.Helper()
	const toml = "[interface]\nprivate_key_file = \"key\"\npeers_file = \"peers.toml\"\npost_up = [\"echo up\", \"bash DIR/hook.sh %i\"]\n" +
		"[[peer]]\npublic_key = \"AkIGpAj7+V26w9a2yRCtOkEPdBjITwWKk53iHE4iWnQ=\"\npreshared_key_command = \"DIR/psk.sh\"\n"
	files := map[string]string{
		"wg0.toml":   toml,
		"key":        "SGVsbG8sIHRoaXMgaXMgYSBrZXkgZm9yIGEgdGVzdC4=\n",
		"peers.toml": "[[peer]]\npublic_key = \"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\"\n",
		"psk.sh":     "#!/bin/sh\ntouch DIR/ran; echo SGVsbG8sIHRoaXMgaXMgYSBrZXkgZm9yIGEgdGVzdC4=\n",
		"hook.sh":    "true\n",
		"wg1.conf":   "WGConfig = wg2.conf\n[Socks5]\nBindAddress = 127.0.0.1:1080\n",
		"wg2.conf":   "[Interface]\nPrivateKey = SGVsbG8sIHRoaXMgaXMgYSBrZXkgZm9yIGEgdGVzdC4=\nPostUp = DIR/hook.sh\n",
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "DIR", dir)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if change != "" {
		if err := os.Chown(filepath.Join(dir, change), stranger, 0); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Whatever a configuration is put together from, as root none of it may be of
// others' making, and no command of theirs is run.
func TestLoadTrusts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("files of other users take root")
	}
	t.Setenv("SUDO_UID", "")
	for _, c := range []struct {
		name   string
		change string // the file that is a stranger's; "" for none
		load   string // the file that is loaded
		want   string // part of the error; "" for none
		runs   bool   // a command of root's is run all the same
	}{
		{name: "own", load: "wg0.toml", runs: true},
		{name: "configuration", change: "wg0.toml", load: "wg0.toml",
			want: "load configuration: not taken as root: DIR/wg0.toml belongs to the user 54321"},
		{name: "key", change: "key", load: "wg0.toml",
			want: "DIR/wg0.toml:2: private_key_file: not taken as root: DIR/key belongs to", runs: true},
		{name: "peers", change: "peers.toml", load: "wg0.toml",
			want: "DIR/wg0.toml:3: peers_file: not taken as root: DIR/peers.toml belongs to", runs: true},
		{name: "command", change: "psk.sh", load: "wg0.toml", want: "preshared_key_command: not taken as root: DIR/psk.sh belongs to"},
		{name: "hook", change: "hook.sh", load: "wg0.toml", want: "post_up: not taken as root: DIR/hook.sh belongs to"},
		{name: "own of wireproxy's", load: "wg1.conf"},
		{name: "import", change: "wg2.conf", load: "wg1.conf", want: "WGConfig: not taken as root: DIR/wg2.conf belongs to"},
		{name: "hook of an import", change: "hook.sh", load: "wg1.conf",
			want: "DIR/wg2.conf:3: PostUp: not taken as root: DIR/hook.sh belongs to"},
		{name: "folder", change: ".", load: "wg0.toml", want: "not taken as root: DIR belongs to"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := trustFiles(t, c.change)
			in := func(text string) string { return strings.ReplaceAll(text, "DIR", dir) }
			_, err := Load(filepath.Join(dir, c.load))
			if err == nil && c.want != "" || err != nil && (c.want == "" || !strings.Contains(err.Error(), in(c.want))) {
				t.Errorf("got %v, want %q", err, in(c.want))
			}
			if _, ok := errors.AsType[*safefile.Untrusted](err); !ok && err != nil {
				t.Error("the error does not say what is not trusted")
			}
			if _, err := os.Stat(filepath.Join(dir, "ran")); (err == nil) != c.runs {
				t.Errorf("a command was run, or was not: %v", err)
			}
			// One that was brought up by its owner's sudo goes down by any root.
			if c.change == "wg0.toml" {
				if _, err := ReadTrusting(filepath.Join(dir, c.load), safefile.Mine().And(stranger)); err != nil {
					t.Error(err)
				}
			}
			// To look at is none of it forbidden.
			cfg, err := Inspect(filepath.Join(dir, c.load))
			if err != nil {
				t.Fatal(err)
			}
			if err := cfg.Resolve(t.Context()); err == nil {
				t.Error("what was read to be looked at was followed")
			}
		})
	}
}

func TestScripts(t *testing.T) {
	for command, want := range map[string][]string{
		"/etc/up.sh wg0":            {"/etc/up.sh"},
		"  ./up.sh":                 {"./up.sh"},
		"/etc/up.sh; true":          {"/etc/up.sh"},
		"bash /etc/up.sh":           {"/etc/up.sh"},
		"sudo sh /etc/up.sh":        {"/etc/up.sh"},
		"sudo env A=1 sh /etc/up":   {"/etc/up"},
		". /etc/env":                {"/etc/env"},
		"A=/etc B=1 /etc/up.sh":     {"/etc/up.sh"},
		"A=/etc/up.sh":              nil,
		"/bin/sh -c '/etc/up.sh'":   {"/bin/sh", "/etc/up.sh"},
		`bash -ec "cd /etc; ./up"`:  {"/etc/up"},
		"true; /etc/up.sh":          {"/etc/up.sh"},
		"true && /a/1 || /a/2 &":    {"/a/1", "/a/2"},
		"cd /etc/wg; ./up.sh":       {"/etc/wg/up.sh"},
		"cd /etc/wg && sh up.sh":    {"/etc/wg/up.sh"},
		"cd /etc && cd wg; ./up.sh": {"/etc/wg/up.sh"},
		"cd $HOME; ./up.sh; /a":     {"/a"},
		"'/a b/up.sh' x":            {"/a b/up.sh"},
		`/a\ b/up.sh`:               {"/a b/up.sh"},
		"[ -x /b ] && /a":           {"/a"},
		"if /a; then /b; fi":        {"/a", "/b"},
		"(cd /etc && ./up.sh)":      {"/etc/up.sh"},
		"echo hi | /a/filter":       {"/a/filter"},
		"echo '; /a'":               nil,
		"bash -c":                   nil,
		"/tmp/sh /etc/up.sh":        {"/tmp/sh", "/etc/up.sh"},
		"iptables -A FORWARD":       nil,
		"wg set wg0 private-key /k": nil,
		"echo x > /proc/sys/x":      nil,
		"$HOME/up.sh":               nil,
		"":                          nil,
		"sh":                        nil,
		"[ -x /etc/up.sh ]":         nil,
	} {
		if got := scripts(command); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", command, got, want)
		}
	}
}

// A dry run reads what files hold, and runs no command.
func TestResolveFiles(t *testing.T) {
	dir := t.TempDir()
	ran := filepath.Join(dir, "ran")
	path := filepath.Join(dir, "wg0.toml")
	if err := os.WriteFile(filepath.Join(dir, "psk"), []byte("SGVsbG8sIHRoaXMgaXMgYSBrZXkgZm9yIGEgdGVzdC4=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "[interface]\nprivate_key_command = \"touch " + ran +
		"\"\n[[peer]]\npublic_key = \"AkIGpAj7+V26w9a2yRCtOkEPdBjITwWKk53iHE4iWnQ=\"\npreshared_key_file = \"psk\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	commands, err := c.ResolveFiles()
	if err != nil || len(commands) != 1 || !strings.HasSuffix(commands[0], "wg0.toml:2: private_key_command") {
		t.Errorf("not run: %q, %v", commands, err)
	}
	if c.Resolved() || c.Peers[0].PresharedKey.IsZero() || len(c.Missing()) > 0 {
		t.Errorf("resolved %t, with preshared key %t, missing %v", c.Resolved(), !c.Peers[0].PresharedKey.IsZero(), c.Missing())
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("the command was run")
	}
}

// What to do is said of each file that others can change, not only of the first.
func TestAllDoubtsAreTold(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("files of other users take root")
	}
	t.Setenv("SUDO_UID", "")
	dir := trustFiles(t, "hook.sh")
	other := filepath.Join(dir, "key")
	if err := os.Chown(other, stranger, 0); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "wg3.conf")
	text := "[Interface]\nPostUp = true; cd " + dir + " && ./hook.sh\nPostDown = bash -c '" + other + "'\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Read(path)
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("got %v", err)
	}
	var told []string
	for _, e := range joined.Unwrap() {
		if doubt, ok := e.(*safefile.Untrusted); ok {
			told = append(told, doubt.Path)
		}
	}
	if want := []string{filepath.Join(dir, "hook.sh"), other}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q: %v", told, want, err)
	}
}
