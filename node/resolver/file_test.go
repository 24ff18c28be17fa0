//go:build linux

package resolver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
)

// fileHost is a host whose resolv.conf is in a folder of the test's, and on
// which all links exist. The folder is in memory, if there is a place for that:
// the tests sync it hundreds of times.
func fileHost(t testing.TB) Host {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "wgnode-resolver-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return Host{ResolvConf: filepath.Join(dir, "resolv.conf"), hasLink: func(string) bool { return true }}
}

// originals are the things that /etc/resolv.conf may be.
var originals = map[string]func(path string) error{
	"absent": func(string) error { return nil },
	"file": func(p string) error {
		return os.WriteFile(p, []byte("# mine\nnameserver 192.168.1.1\nsearch home\n"), 0o640)
	},
	"owned": func(p string) error {
		return errors.Join(os.WriteFile(p, []byte("nameserver 192.168.1.1\n"), 0o604), os.Chmod(p, 0o604|fs.ModeSticky), os.Lchown(p, 1234, 4321))
	},
	"no last new line": func(p string) error { return os.WriteFile(p, []byte("nameserver 192.168.1.1"), 0o644) },
	"empty":            func(p string) error { return os.WriteFile(p, nil, 0o644) },
	"odd bytes":        func(p string) error { return os.WriteFile(p, []byte("\n\n#|x\r\n\x00\xff\n#wgnode {}\n\n"), 0o644) },
	"link":             func(p string) error { return os.Symlink("../run/NetworkManager/resolv.conf", p) },
}

// change is what a link's servers are on a host now, as Choose finds it.
func change(t testing.TB, h Host, link string, servers ...string) Change {
	t.Helper()
	c, err := h.Choose(File)
	if err != nil {
		t.Fatal(err)
	}
	s := Settings{Link: link, AllNames: true}
	for _, a := range servers {
		s.Servers = append(s.Servers, netip.MustParseAddr(a))
	}
	ch, err := c.Change(s)
	if err != nil {
		t.Fatal(err)
	}
	// The journal is all that another process has of it.
	text, err := json.Marshal(ch)
	if err != nil {
		t.Fatal(err)
	}
	ch = Change{}
	if err := json.Unmarshal(text, &ch); err != nil {
		t.Fatal(err)
	}
	return ch
}

// look describes the folder of a file: all that is in it, and how.
func look(t testing.TB, h Host) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(h.ResolvConf))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		path := filepath.Join(filepath.Dir(h.ResolvConf), e.Name())
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&b, "%s %v %d:%d ", e.Name(), info.Mode(), st.Uid, st.Gid)
		if target, err := os.Readlink(path); err == nil {
			fmt.Fprintf(&b, "-> %s\n", target)
		} else if content, err := os.ReadFile(path); err == nil {
			fmt.Fprintf(&b, "%q\n", content)
		}
	}
	return b.String()
}

// effective are the lines of the file that programs heed.
func effective(t testing.TB, h Host) string {
	t.Helper()
	text, err := os.ReadFile(h.resolvConf())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

func do(t testing.TB, h Host, c Change) {
	t.Helper()
	if err := h.Do(t.Context(), c, 0); err != nil {
		t.Fatal(err)
	}
}

func undo(t testing.TB, h Host, c Change, want error) {
	t.Helper()
	if err := h.Undo(c, 0); !errors.Is(err, want) {
		t.Fatalf("undo: %v, want %v", err, want)
	}
}

func needRoot(t testing.TB) {
	if os.Geteuid() != 0 {
		t.Skip("changing owners needs root")
	}
}

func TestFile(t *testing.T) {
	needRoot(t)
	for name, make := range originals {
		t.Run(name, func(t *testing.T) {
			h := fileHost(t)
			if err := make(h.ResolvConf); err != nil {
				t.Fatal(err)
			}
			before := look(t, h)
			c := change(t, h, "wg0", "10.0.0.1", "fe80::1%wg0")
			undo(t, h, c, ErrNotSet) // killed before it was done
			do(t, h, c)
			if got := effective(t, h); got != "nameserver 10.0.0.1; nameserver fe80::1%wg0" {
				t.Errorf("in effect: %s", got)
			}
			if info, err := os.Stat(h.ResolvConf); err != nil || info.Mode() != 0o644 {
				t.Errorf("not readable for all: %v, %v", info.Mode(), err)
			}
			undo(t, h, c, nil)
			if got := look(t, h); got != before {
				t.Errorf("before:\n%safter:\n%s", before, got)
			}
			undo(t, h, c, ErrNotSet)
		})
	}
}

// Tunnels that come and go in any order leave the last one's servers in effect,
// and in the end the original.
func TestFileTunnels(t *testing.T) {
	needRoot(t)
	for _, name := range []string{"absent", "owned", "link"} {
		for _, order := range []string{"012", "021", "102", "120", "201", "210"} {
			t.Run(name+" "+order, func(t *testing.T) {
				h := fileHost(t)
				if err := originals[name](h.ResolvConf); err != nil {
					t.Fatal(err)
				}
				before := look(t, h)
				var up []Change
				left := map[string]bool{}
				for i := range 3 {
					c := change(t, h, fmt.Sprintf("wg%d", i), fmt.Sprintf("10.0.0.%d", i))
					do(t, h, c)
					up, left[c.Link] = append(up, c), true
				}
				for _, d := range order[:2] {
					c := up[d-'0']
					undo(t, h, c, nil)
					delete(left, c.Link)
					want := ""
					for _, c := range up {
						if left[c.Link] {
							want = "nameserver " + c.Servers[0].String()
						}
					}
					if got := effective(t, h); got != want {
						t.Errorf("without %s in effect: %s, want %s", c.Link, got, want)
					}
				}
				undo(t, h, up[order[2]-'0'], nil)
				if got := look(t, h); got != before {
					t.Errorf("before:\n%safter:\n%s", before, got)
				}
			})
		}
	}
}

// What somebody else has written stays.
func TestFileChanged(t *testing.T) {
	for name, theirs := range map[string]func(path string) error{
		"written": func(p string) error { return os.WriteFile(p, []byte("nameserver 192.168.2.1\n"), 0o600) },
		"emptied": func(p string) error { return os.Truncate(p, 0) },
		"link":    func(p string) error { return errors.Join(os.Remove(p), os.Symlink("elsewhere", p)) },
		"removed": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			h := fileHost(t)
			if err := originals["file"](h.ResolvConf); err != nil {
				t.Fatal(err)
			}
			c := change(t, h, "wg0", "10.0.0.1")
			do(t, h, c)
			if err := theirs(h.ResolvConf); err != nil {
				t.Fatal(err)
			}
			before := look(t, h)
			undo(t, h, c, ErrChanged)
			if got := look(t, h); got != before {
				t.Errorf("before:\n%safter:\n%s", before, got)
			}
		})
	}
}

// The machine was restarted while a tunnel was up: no journal is left, and no
// link, but the file still holds the original.
func TestFileAfterRestart(t *testing.T) {
	h := fileHost(t)
	if err := originals["file"](h.ResolvConf); err != nil {
		t.Fatal(err)
	}
	before := look(t, h)
	do(t, h, change(t, h, "wg0", "10.0.0.1"))
	h.hasLink = func(string) bool { return false }
	c := change(t, h, "wg1", "10.0.0.2")
	do(t, h, c)
	undo(t, h, c, nil)
	if got := look(t, h); got != before {
		t.Errorf("before:\n%safter:\n%s", before, got)
	}
}

// A writing in place that is cut short at any byte is undone.
func TestFileInPlaceCut(t *testing.T) {
	// Long enough to reach over what the file says of itself.
	old := bytes.Repeat([]byte("nameserver 192.168.1.1\n"), 20)
	h := fileHost(t)
	if err := os.WriteFile(h.ResolvConf, old, 0o644); err != nil {
		t.Fatal(err)
	}
	before := look(t, h)
	c := change(t, h, "wg0", "10.0.0.1")
	do(t, h, c)
	ours, err := os.ReadFile(h.ResolvConf)
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range [][2][]byte{{old, ours}, {ours, old}} {
		from, to := way[0], way[1]
		for n := range len(to) + 1 {
			cut := append(bytes.Clone(to[:n]), from[min(n, len(from)):]...)
			if err := os.WriteFile(h.ResolvConf, cut, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := h.Undo(c, 0); err != nil && !errors.Is(err, ErrNotSet) {
				t.Fatalf("after %d bytes: %v", n, err)
			}
			if got := look(t, h); got != before {
				t.Fatalf("after %d bytes:\n%s", n, got)
			}
		}
	}
}

// In a container the file is a mount point.
func TestFileMounted(t *testing.T) {
	a := lab.New(t).Host("a")
	const original = "nameserver 127.0.0.11\noptions ndots:0"
	a.Mount("/etc/resolv.conf", original, 0o664)
	err := a.Do(func() error {
		h := Host{hasLink: func(string) bool { return true }}
		choice, err := h.Choose(File)
		if err != nil {
			return err
		}
		c, err := choice.Change(Settings{Link: "wg0", Servers: []netip.Addr{netip.MustParseAddr("10.0.0.1")}})
		if err != nil {
			return err
		}
		if err := h.Do(t.Context(), c, 0); err != nil {
			return err
		}
		if got := effective(t, h); got != "nameserver 10.0.0.1" {
			t.Errorf("in effect: %s", got)
		}
		return h.Undo(c, 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := a.ReadFile("/etc/resolv.conf"); got != original {
		t.Errorf("after: %q", got)
	}
	if out := a.Run("ls", "-A", "/etc"); strings.Contains(out, "wgnode") {
		t.Errorf("left in /etc:\n%s", out)
	}
	if out := a.Run("stat", "-c%a", "/etc/resolv.conf"); out != "664\n" {
		t.Errorf("mode: %s", out)
	}
}

// What cannot be changed is known before anything is.
func TestFileImmutable(t *testing.T) {
	lab.Need(t, "chattr")
	needRoot(t)
	h := Host{ResolvConf: filepath.Join(t.TempDir(), "resolv.conf")}
	if err := originals["file"](h.ResolvConf); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chattr", "+i", h.ResolvConf).CombinedOutput(); err != nil {
		t.Skipf("this file system knows no immutable files: %s", out)
	}
	defer func() {
		if out, err := exec.Command("chattr", "-i", h.ResolvConf).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}()
	if _, err := h.Choose(File); err == nil || !strings.Contains(err.Error(), "immutable") {
		t.Errorf("error: %v", err)
	}
}
