//go:build linux

package system

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/patience"
)

// stranger is a user whom nobody trusts.
const stranger = 54321

// hostile is a folder in which all may make files, as /tmp, and beside it, out of
// others' reach, a file that a stranger would like to see changed.
type hostile struct {
	t           *testing.T
	dir, victim string
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	h := &hostile{t: t, dir: filepath.Join(t.TempDir(), "tmp"), victim: filepath.Join(t.TempDir(), "victim")}
	h.must(os.Mkdir(h.dir, 0o755))
	h.must(os.Chmod(h.dir, os.ModeSticky|0o777))
	h.must(os.WriteFile(h.victim, []byte("victim"), 0o644))
	return h
}

func (h *hostile) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *hostile) path(name string) string { return filepath.Join(h.dir, name) }

// link makes a link of the stranger's to the victim.
func (h *hostile) link(name string) {
	h.t.Helper()
	h.must(errors.Join(os.Symlink(h.victim, h.path(name)), os.Lchown(h.path(name), stranger, stranger)))
}

// file makes a file that the stranger keeps open for himself.
func (h *hostile) file(name string) {
	h.t.Helper()
	h.must(errors.Join(os.WriteFile(h.path(name), nil, 0o600), os.Chown(h.path(name), stranger, stranger), os.Chmod(h.path(name), 0o666)))
}

// unharmed wants the victim as it was, and no more in a stranger's files.
func (h *hostile) unharmed() {
	h.t.Helper()
	if b, err := os.ReadFile(h.victim); err != nil || string(b) != "victim" {
		h.t.Errorf("the victim is %q, %v", b, err)
	}
	entries, err := os.ReadDir(h.dir)
	h.must(err)
	for _, e := range entries {
		info, err := e.Info()
		h.must(err)
		if info.Sys().(*syscall.Stat_t).Uid == stranger && info.Mode().IsRegular() && info.Size() > 0 {
			h.t.Errorf("%s is a stranger's, and has %d bytes", e.Name(), info.Size())
		}
	}
}

// Every file that a command writes where others can make files: a link of theirs
// is not followed, a file of theirs gets nothing, and no name can be waited for.
func TestWritesBesideStrangers(t *testing.T) {
	lab.Need(t, "ip", "wg")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	s.A.Run(s.Wgnode, "record", "wg0", "-w", "/run/one.pcapng", "--for", "1s", "icmp")
	for _, c := range []struct {
		name string
		args func(out string) []string
		ext  string // of the file that is written
		// force is the flag to replace a file that is there.
		force string
		// temporary are ends of names that the file has had on the way, or might have.
		temporary []string
		appends   bool
	}{
		{name: "convert", ext: ".toml", force: "--force", temporary: []string{".tmp", ".new"},
			args: func(out string) []string { return []string{"convert", "wg0", out} }},
		{name: "trace", ext: ".svg", temporary: []string{".tmp"},
			args: func(out string) []string { return []string{"trace", "wg0", s.Web(), "--svg", out} }},
		{name: "record", ext: ".pcapng", force: "--force", temporary: []string{".part"},
			args: func(out string) []string { return []string{"record", "wg0", "-w", out, "--for", "300ms", "icmp"} }},
		{name: "log", ext: ".log", appends: true,
			args: func(out string) []string {
				return []string{"run", "/etc/wireguard/none.toml", "--netstack", "--log", out}
			}},
	} {
		for _, there := range []string{"nothing", "link", "file"} {
			t.Run(c.name+" beside "+there, func(t *testing.T) {
				h := newHostile(t)
				out := "out" + c.ext
				for _, end := range c.temporary {
					h.link(out + end)
				}
				switch there {
				case "link":
					h.link(out)
				case "file":
					h.file(out)
				}
				if c.appends {
					s.A.WriteFile("/etc/wireguard/none.toml",
						"[interface]\nname = \"none\"\naddress = [\"10.9.9.9/32\"]\n[socks5]\nlisten = \"unix:/nowhere/at/all\"\n", 0o600)
				}
				text, status, err := s.A.Try(append([]string{s.Wgnode}, c.args(h.path(out))...)...)
				if err != nil {
					t.Fatal(err)
				}
				h.unharmed()
				if c.force != "" && status != 0 {
					text, status, err = s.A.Try(append(append([]string{s.Wgnode}, c.args(h.path(out))...), c.force)...)
					if err != nil {
						t.Fatal(err)
					}
					h.unharmed()
				}
				if c.appends {
					return
				}
				// It is this user's file by now, or the error says whose it is.
				info, err := os.Lstat(h.path(out))
				if status == 0 && (err != nil || !info.Mode().IsRegular() || info.Size() == 0) {
					t.Errorf("written: %v, %v\n%s", info, err, text)
				}
				if status != 0 && !strings.Contains(text, "belongs to the user 54321") {
					t.Errorf("status %d\n%s", status, text)
				}
			})
		}
	}
}

// What is taken as root must not be others' work, and what cannot be taken is not
// touched: the commands of it are not run, and the error says what to type.
func TestTakesNothingFromStrangers(t *testing.T) {
	lab.Need(t, "ip", "wg", "setpriv")
	t.Parallel()
	s := newSite(t, false)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	before := sitetest.HostState(s.A)
	h := newHostile(t)
	ran := filepath.Join(filepath.Dir(h.victim), "ran")
	conf := strings.Replace(s.ConfA.Text, "[Interface]\n", "[Interface]\nPreUp = touch "+ran+"\n", 1)
	toml := "[interface]\nprivate_key_command = \"touch " + ran + "\"\naddress = [\"10.0.0.9/32\"]\n"
	h.must(os.WriteFile(h.path("wg0.conf"), []byte(conf), 0o600))
	h.must(os.WriteFile(h.path("wgnode.toml"), []byte(toml), 0o600))
	for _, name := range []string{"wg0.conf", "wgnode.toml"} {
		h.must(os.Chown(h.path(name), stranger, stranger))
	}
	in := func(command string) []string { return []string{"sh", "-c", "cd " + h.dir + " && " + command} }
	want := func(name string) string {
		return "not taken as root: " + h.path(name) +
			" belongs to the user 54321\nwgnode: hint: if what is in it is right: chown root: " + h.path(name) + "\n"
	}
	for _, c := range []struct{ command, want string }{
		{"WGNODE up ./wg0.conf", want("wg0.conf")},
		{"WGNODE up", want("wgnode.toml")},
		{"WGNODE up --dry-run", want("wgnode.toml")},
		{"WGNODE run", want("wgnode.toml")},
		{"WGNODE run --netstack", want("wgnode.toml")},
		{"WGNODE convert --inline wgnode.toml", want("wgnode.toml")},
		{"WGNODE strip ./wgnode.toml", want("wgnode.toml")},
		{"SUDO_UID=54322 WGNODE up ./wg0.conf", want("wg0.conf")},
	} {
		sitetest.Fails(t, s.A, 1, c.want, in(strings.ReplaceAll(c.command, "WGNODE", s.Wgnode))...)
	}
	h.must(os.MkdirAll(h.path("theirs"), 0o755))
	h.must(os.WriteFile(h.path("theirs/wg2.conf"), []byte(conf), 0o600))
	h.must(os.Chown(h.path("theirs"), stranger, stranger))
	sitetest.Fails(t, s.A, 1, "not taken as root: "+h.path("theirs")+
		" belongs to the user 54321\nwgnode: hint: a copy in a folder of root's will do: cp "+
		h.path("theirs/wg2.conf")+" /etc/wireguard/\n", s.Wgnode, "up", h.path("theirs/wg2.conf"))
	sitetest.Fails(t, s.A, 125, want("wg0.conf"), in(s.Wgnode+" exec ./wg0.conf true")...)
	if _, err := os.Stat(ran); err == nil {
		t.Error("a stranger's command was run")
	}
	// To look at it is no danger.
	s.A.Run(in(s.Wgnode + " convert ./wg0.conf")...)
	sitetest.Unchanged(t, s.A, before)

	// The user who has become root takes files of his own, and any root undoes that.
	h.must(os.Chown(h.dir, stranger, stranger))
	h.must(os.Chmod(h.dir, 0o755))
	s.A.Run(in("SUDO_UID=54321 " + s.Wgnode + " up ./wg0.conf")...)
	if _, err := os.Stat(ran); err != nil {
		t.Error("the hook was not run")
	}
	if out := s.A.Run(s.Wgnode, "down", "wg0"); strings.Contains(out, "skipped") {
		t.Errorf("down\n%s", out)
	}
	// A folder of root's, and files behind links and pipes.
	s.A.Run("ln", "-s", "/etc/wireguard/wg0.conf", "/run/wg1.conf")
	s.A.Run(s.Wgnode, "up", "/run/wg1.conf")
	s.A.Run("bash", "-c", s.Wgnode+" syncconf wg1 <("+s.Wgnode+" strip wg0)")
	s.A.Run(s.Wgnode, "down", "wg1")
}

// A user without $XDG_RUNTIME_DIR has a run folder in /tmp, which others can make
// first.
func TestRunFolderOfStrangers(t *testing.T) {
	lab.Need(t, "setpriv")
	t.Parallel()
	s := newSite(t, false)
	const tmp, ran = "/run/tmp", "/run/tmp/ran"
	const dir = tmp + "/wgnode-65534"
	s.A.Run("install", "-d", "-m", "1777", tmp)
	s.A.Run("install", "-d", "-o", "54321", "-m", "755", dir)
	s.A.WriteFile("/etc/evil.conf", "[Interface]\nPreDown = touch "+ran+"\n", 0o644)
	s.A.WriteFile(dir+"/wg0.json", `{"version":1,"link":"wg0","config":"/etc/evil.conf","complete":true,"steps":[]}`, 0o644)
	program := filepath.Join("/run", "wgnode")
	s.A.Run("cp", s.Wgnode, program)
	for _, command := range []string{"down", "explain", "doctor"} {
		args := []string{"wg0"}
		if command == "explain" {
			args = append(args, "10.0.0.2:80")
		}
		sitetest.Fails(t, s.A, 1, dir+" belongs to the user 54321\nwgnode: hint: journals and sockets are there: set XDG_RUNTIME_DIR to",
			append([]string{"setpriv", "--reuid=65534", "--clear-groups", "env", "-u", "XDG_RUNTIME_DIR", "TMPDIR=" + tmp, program, command},
				args...)...)
	}
	if out, status, _ := s.A.Try("test", "-e", ran); status == 0 {
		t.Errorf("a stranger's hook was run %s", out)
	}
}

// Whatever command has a key in its memory, no other process of its user may look.
func TestMemoryIsHidden(t *testing.T) {
	lab.Need(t, "setpriv")
	t.Parallel()
	s := newSite(t, false)
	s.A.Run("cp", s.Wgnode, "/run/wgnode")
	// The kernel gives such a process's files below /proc to root.
	for command, owner := range map[string]string{"cat": "65534", "/run/wgnode pubkey": "0"} {
		p := s.A.Start("sh", "-c", "mkfifo -m 666 /run/stdin; setpriv --reuid=65534 --clear-groups "+command+" </run/stdin & exec 3>/run/stdin; "+
			"until [ \"$(cat /proc/$!/comm)\" != setpriv ] && [ $(stat -c %u /proc/$!/mem) = "+owner+
			" ]; do :; done; echo hidden; kill $!; rm /run/stdin")
		p.WaitOutput(patience.Context(t), "hidden")
		if err := p.Wait(); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
}
