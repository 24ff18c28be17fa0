package safefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

// state is owner, group, mode and content of a file, and "->" before it if it is a link.
func (w *world) state(name string) string {
	w.t.Helper()
	info, err := os.Lstat(w.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "nothing"
	}
	w.must(err)
	link := ""
	if info.Mode()&os.ModeSymlink != 0 {
		link = "-> "
		info, err = os.Stat(w.path(name))
		w.must(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%s%d:%d %04o %s", link, st.Uid, st.Gid, st.Mode&0o7777, w.read(name))
}

func TestWrite(t *testing.T) {
	secret, open := Options{Mode: 0o600}, Options{Mode: 0o644}
	for _, c := range []struct {
		name string
		make func(w *world) // "out" is written
		sudo string
		opt  Options
		err  string
		want string // the state of "out" then
		real string // that of "real"
	}{
		{name: "new", make: func(*world) {}, opt: secret, want: "0:0 0600 text"},
		{name: "new for all", make: func(*world) {}, opt: open, want: "0:0 0644 text"},
		{name: "replaced", make: func(w *world) { w.file("out", 0, 777, 0o640) }, opt: secret, want: "0:777 0640 text"},
		{name: "replaced, no longer for all", make: func(w *world) { w.file("out", 0, 0, 0o644) }, opt: secret, want: "0:0 0640 text"},
		{name: "replaced, still for its owner", make: func(w *world) { w.file("out", stranger, stranger, 0o600) }, sudo: "54321",
			opt: open, want: "54321:54321 0600 text"},
		{name: "new in place of another's", make: func(w *world) {
			w.folder("", 0, 0, shared)
			w.file("out", stranger, 0, 0o666)
		}, opt: secret, want: "0:0 0600 text"},
		{name: "not replaced", make: func(w *world) { w.file("out", 0, 0, 0o600) }, opt: Options{Mode: 0o600, New: true},
			err: "file already exists", want: "0:0 0600 out"},
		{name: "not replaced, a link that leads nowhere", make: func(w *world) { w.link("real", "out", 0) }, opt: Options{Mode: 0o600, New: true},
			err: "file already exists", real: "nothing"},
		{name: "the user's link", make: func(w *world) {
			w.file("real", 0, 0, 0o600)
			w.link("real", "out", 0)
		}, opt: secret, want: "-> 0:0 0600 text", real: "0:0 0600 text"},
		{name: "the user's link that leads nowhere", make: func(w *world) { w.link("real", "out", 0) }, opt: secret,
			want: "-> 0:0 0600 text", real: "0:0 0600 text"},
		{name: "another's link in a folder as /tmp", make: func(w *world) {
			w.folder("", 0, 0, shared)
			w.file("real", 0, 0, 0o600)
			w.link("real", "out", stranger)
		}, opt: secret, err: "out belongs to the user 54321", want: "-> 0:0 0600 real", real: "0:0 0600 real"},
		{name: "another's link in another's folder", make: func(w *world) {
			w.folder("", stranger, 0, 0o755)
			w.file("real", 0, 0, 0o600)
			w.link("real", "out", stranger)
		}, opt: secret, err: "out belongs to the user 54321", real: "0:0 0600 real"},
		{name: "what used to be the name of a temporary file leads elsewhere", make: func(w *world) {
			w.folder("", 0, 0, shared)
			w.file("real", 0, 0, 0o600)
			w.link("real", "out.tmp", stranger)
		}, opt: secret, want: "0:0 0600 text", real: "0:0 0600 real"},
		{name: "a folder", make: func(w *world) { w.folder("out", 0, 0, 0o700) }, opt: secret, err: "is a directory"},
		{name: "no folder", make: func(w *world) { w.must(os.Remove(w.dir)) }, opt: secret, err: "no such file or directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			t.Setenv("SUDO_UID", c.sudo)
			c.make(w)
			err := Write(w.path("out"), c.opt, text("text"))
			if err == nil && c.err != "" || err != nil && (c.err == "" || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got %v, want %q", err, c.err)
			}
			if c.want != "" && w.state("out") != c.want {
				t.Errorf("out is %s, want %s", w.state("out"), c.want)
			}
			if c.real != "" && w.state("real") != c.real {
				t.Errorf("real is %s, want %s", w.state("real"), c.real)
			}
			if left, _ := filepath.Glob(w.path(".*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// What is written is nobody's to read before it is complete, and gone if it is
// never complete.
func TestWriteMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.file("out", 0, 0, 0o600)
	failed := errors.New("failed")
	err := Write(w.path("out"), Options{Mode: 0o600}, func(to io.Writer) error {
		tmp, err := filepath.Glob(w.path(".out.wgnode-*"))
		if err != nil || len(tmp) != 1 {
			t.Fatalf("being written: %v, %v", tmp, err)
		}
		if got := w.state(filepath.Base(tmp[0])); got != "0:0 0600 " {
			t.Errorf("being written: %s", got)
		}
		return failed
	})
	if !errors.Is(err, failed) || w.read("out") != "out" {
		t.Errorf("%v; the file is %s", err, w.read("out"))
	}
	if left, _ := filepath.Glob(w.path(".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// What a process that was killed has left goes; what another one writes stays.
func TestRemains(t *testing.T) {
	w := newWorld(t)
	w.file(".out.wgnode-OLD", 0, 0, 0o600)
	w.file(".other.wgnode-OLD", 0, 0, 0o600)
	w.must(Write(w.path("out"), Options{Mode: 0o600}, text("text")))
	if w.state(".out.wgnode-OLD") != "nothing" || w.state(".other.wgnode-OLD") == "nothing" {
		t.Error("Write does not remove what was left of this file, and only that")
	}
	w.must(Write(w.path("out"), Options{Mode: 0o600}, func(to io.Writer) error {
		w.must(RemoveRemains(w.path("out")))
		return text("again")(to)
	}))
	if w.read("out") != "again" {
		t.Errorf("the file is %s", w.read("out"))
	}
	w.must(RemoveRemains(w.path("missing/out")))
}

// Of files that are written at the same time the last one stays, whole.
func TestWriteTogether(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for range 20 {
				if err := Write(w.path("out"), Options{Mode: 0o600}, text(strings.Repeat(fmt.Sprint(n), 5000))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := w.read("out"); len(got) != 5000 || strings.Trim(got, got[:1]) != "" {
		t.Errorf("the file is a mixture of %d bytes", len(got))
	}
	entries, err := os.ReadDir(w.dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// One of several that make a file anew has made it.
func TestWriteNewTogether(t *testing.T) {
	w := newWorld(t)
	made := make(chan int, 8)
	var all sync.WaitGroup
	for n := range cap(made) {
		all.Go(func() {
			err := Write(w.path("out"), Options{Mode: 0o600, New: true}, text(fmt.Sprint(n)))
			if err == nil {
				made <- n
			} else if !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(made) != 1 || w.read("out") != fmt.Sprint(<-made) {
		t.Errorf("%d have made it", len(made)+1)
	}
}

// A pipe is written to, and stays.
func TestWriteIntoPipe(t *testing.T) {
	w := newWorld(t)
	w.must(syscall.Mkfifo(w.path("out"), 0o600))
	got := make(chan string)
	go func() {
		b, err := os.ReadFile(w.path("out"))
		if err != nil {
			t.Error(err)
		}
		got <- string(b)
	}()
	w.must(Write(w.path("out"), Options{Mode: 0o644}, text("text")))
	if s := <-got; s != "text" {
		t.Errorf("through the pipe came %q", s)
	}
}

func TestAppend(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(w *world) // "log" is opened
		err  string
		want string
	}{
		{name: "new", make: func(*world) {}, want: "0:0 0600 more"},
		{name: "there", make: func(w *world) { w.file("log", 0, 0, 0o644) }, want: "0:0 0644 logmore"},
		{name: "own link", make: func(w *world) { w.link("real", "log", 0) }, want: "-> 0:0 0600 more"},
		{name: "another's, where only root makes files", make: func(w *world) { w.file("log", stranger, 0, 0o640) },
			want: "54321:0 0640 logmore"},
		{name: "another's in a folder as /tmp", make: func(w *world) {
			w.folder("", 0, 0, shared)
			w.file("log", stranger, 0, 0o666)
		}, err: "log belongs to the user 54321", want: "54321:0 0666 log"},
		{name: "another's link in a folder as /tmp", make: func(w *world) {
			w.folder("", 0, 0, shared)
			w.file("real", 0, 0, 0o644)
			w.link("real", "log", stranger)
		}, err: "log belongs to the user 54321", want: "-> 0:0 0644 real"},
		{name: "a further name in a folder as /tmp", make: func(w *world) {
			w.folder("", 0, 0, shared)
			w.file("real", 0, 0, 0o644)
			w.must(os.Link(w.path("real"), w.path("log")))
		}, err: "further names", want: "0:0 0644 real"},
		{name: "a pipe that nobody reads", make: func(w *world) { w.must(syscall.Mkfifo(w.path("log"), 0o600)) }, err: "no such device"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.make(w)
			f, err := Append(w.path("log"), 0o600)
			if err == nil {
				w.must(text("more")(f))
				w.must(f.Close())
			}
			if err == nil && c.err != "" || err != nil && (c.err == "" || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got %v, want %q", err, c.err)
			}
			if c.want != "" && w.state("log") != c.want {
				t.Errorf("log is %s, want %s", w.state("log"), c.want)
			}
		})
	}
}
