package safefile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// stranger is a user whom nobody trusts.
const stranger = 54321

// world is a folder with what a test does in it. Its paths are relative to the
// folder.
type world struct {
	t   *testing.T
	dir string
}

// newWorld needs root, who alone can act for others.
func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("files of other users take root")
	}
	for _, v := range []string{"SUDO_UID", "PKEXEC_UID", "DOAS_USER"} {
		t.Setenv(v, "")
	}
	old := unix.Umask(0o022)
	t.Cleanup(func() { unix.Umask(old) })
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &world{t, dir}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// file makes a file with that text, owner and mode.
func (w *world) file(name string, uid, gid int, mode os.FileMode) {
	w.t.Helper()
	w.must(os.WriteFile(w.path(name), []byte(name), 0o600))
	w.must(os.Chown(w.path(name), uid, gid))
	w.must(os.Chmod(w.path(name), mode))
}

func (w *world) folder(name string, uid, gid int, mode os.FileMode) {
	w.t.Helper()
	w.must(os.MkdirAll(w.path(name), 0o755))
	w.must(os.Chown(w.path(name), uid, gid))
	w.must(os.Chmod(w.path(name), mode))
}

func (w *world) link(target, name string, uid int) {
	w.t.Helper()
	w.must(os.Symlink(target, w.path(name)))
	w.must(os.Lchown(w.path(name), uid, uid))
}

func (w *world) read(name string) string {
	w.t.Helper()
	b, err := os.ReadFile(w.path(name))
	w.must(err)
	return string(b)
}

const shared = os.ModeSticky | 0o777 // as /tmp

var openTests = []struct {
	name string
	make func(w *world) // "conf" is opened
	sudo string         // SUDO_UID
	want string         // "" or part of the error; FOLDER is the world's
}{
	{name: "own", make: func(w *world) { w.file("conf", 0, 0, 0o600) }},
	{name: "readable by all", make: func(w *world) { w.file("conf", 0, 0, 0o644) }},
	{name: "writable by root's group", make: func(w *world) { w.file("conf", 0, 0, 0o660) }},
	{name: "another's", make: func(w *world) { w.file("conf", stranger, 0, 0o600) }, want: "FOLDER/conf belongs to the user 54321"},
	{name: "that of who used sudo", make: func(w *world) { w.file("conf", stranger, stranger, 0o664) }, sudo: "54321"},
	{name: "that of yet another", make: func(w *world) { w.file("conf", stranger+1, 0, 0o600) }, sudo: "54321",
		want: "belongs to the user 54322"},
	{name: "writable by a group", make: func(w *world) { w.file("conf", 0, 777, 0o620) },
		want: "FOLDER/conf can be written by the group 777 (mode 0620)"},
	{name: "writable by all", make: func(w *world) { w.file("conf", 0, 0, 0o602) }, want: "conf can be written by all users (mode 0602)"},
	{name: "in another's folder", make: func(w *world) {
		w.folder("", stranger, 0, 0o755)
		w.file("conf", 0, 0, 0o600)
	}, want: "FOLDER belongs to the user 54321"},
	{name: "in a folder of who used sudo", make: func(w *world) {
		w.folder("", stranger, stranger, 0o775)
		w.file("conf", 0, 0, 0o600)
	}, sudo: "54321"},
	{name: "in a folder for all", make: func(w *world) {
		w.folder("", 0, 0, 0o777)
		w.file("conf", 0, 0, 0o600)
	}, want: "FOLDER can be written by all users (mode 0777)"},
	{name: "in a folder of a group", make: func(w *world) {
		w.folder("", 0, 777, 0o775)
		w.file("conf", 0, 0, 0o600)
	}, want: "FOLDER can be written by the group 777 (mode 0775)"},
	{name: "own in a folder as /tmp", make: func(w *world) {
		w.folder("", 0, 0, shared)
		w.file("conf", 0, 0, 0o600)
	}},
	{name: "another's in a folder as /tmp", make: func(w *world) {
		w.folder("", 0, 0, shared)
		w.file("conf", stranger, 0, 0o600)
	}, want: "FOLDER/conf belongs to"},
	{name: "own, with another name, in a folder as /tmp", make: func(w *world) {
		w.folder("", 0, 0, shared)
		w.file("secret", 0, 0, 0o600)
		w.must(os.Link(w.path("secret"), w.path("conf")))
	}, want: "further names"},
	{name: "own link", make: func(w *world) {
		w.folder("there", 0, 0, 0o700)
		w.file("there/real", 0, 0, 0o600)
		w.link("x/../there/real", "conf", 0)
		w.folder("x", 0, 0, 0o700)
	}},
	{name: "own link to another's", make: func(w *world) {
		w.folder("there", stranger, 0, 0o755)
		w.file("there/real", 0, 0, 0o600)
		w.link("there/real", "conf", 0)
	}, want: "FOLDER/there belongs to"},
	{name: "another's link in a folder as /tmp", make: func(w *world) {
		w.folder("", 0, 0, shared)
		w.file("real", 0, 0, 0o600)
		w.link("real", "conf", stranger)
	}, want: "FOLDER/conf belongs to"},
	{name: "a link in a folder that was another's", make: func(w *world) { w.link("/etc/passwd", "conf", stranger) }},
	{name: "links in a circle", make: func(w *world) { w.link("conf", "conf", 0) }, want: "too many levels of symbolic links"},
	{name: "nothing", make: func(*world) {}, want: "no such file or directory"},
	{name: "a pipe", make: func(w *world) { w.must(syscall.Mkfifo(w.path("conf"), 0o600)) }, want: "not a regular file"},
	{name: "a folder", make: func(w *world) { w.folder("conf", 0, 0, 0o700) }, want: "is a directory"},
}

func TestOpen(t *testing.T) {
	for _, c := range openTests {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			t.Setenv("SUDO_UID", c.sudo)
			c.make(w)
			f, err := Open(w.path("conf"), Mine())
			if err == nil {
				defer f.Close()
			}
			if want := strings.ReplaceAll(c.want, "FOLDER", w.dir); err == nil && want != "" ||
				err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v, want %q", err, want)
			}
			if err == nil {
				if real, _ := filepath.EvalSymlinks(w.path("conf")); f.Name() != real {
					t.Errorf("it is called %s, want %s", f.Name(), real)
				}
			}
		})
	}
}

// A file with an access control list says only so by a mark in its mode.
func TestOpenWithList(t *testing.T) {
	w := newWorld(t)
	w.file("conf", 0, 0, 0o600)
	// Version 2; the owner rw, user 54321 rw, the group nothing, at most rw, others nothing.
	list := []byte{2, 0, 0, 0,
		1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff,
		2, 0, 6, 0, 0x31, 0xd4, 0, 0,
		4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
		0x10, 0, 6, 0, 0xff, 0xff, 0xff, 0xff,
		0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}
	if err := unix.Setxattr(w.path("conf"), "system.posix_acl_access", list, 0); errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("this file system has no access control lists")
	} else {
		w.must(err)
	}
	if _, err := Open(w.path("conf"), Mine()); err == nil || !strings.Contains(err.Error(), "access control list") {
		t.Errorf("got %v", err)
	}
}
