//go:build linux

package repair

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/fix"
)

// enter enters an empty network namespace, which vanishes with the thread.
func enter(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	ip(t, "link", "set", "lo", "up")
}

func ip(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
	return string(out)
}

// A fix is done in whole or not at all: if a step fails, those before it are undone, of the kernel and
// of files, and the journal is empty.
func TestAllOrNone(t *testing.T) {
	const text = "[Interface]\nMTU = 1420\n"
	good := fix.Command("ip route add 203.0.113.0/24 dev lo")
	for _, c := range []struct {
		name  string
		fails fix.Step
		begun bool // it fails when it is done, and not before
	}{
		{"the kernel refuses it", fix.Command("ip route add 198.51.100.0/24 via 10.99.0.77"), true},
		{"it is there meanwhile", fix.Command("ip route add 192.0.2.0/24 dev lo"), false},
		{"there is no way back", fix.Command("wgnode reload wg0"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			enter(t)
			dir := t.TempDir()
			file := filepath.Join(dir, "wg0.conf")
			own := fix.Where{File: file, Section: "Interface"}
			ip(t, "route", "add", "192.0.2.0/24", "dev", "lo", "metric", "0")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			before := ip(t, "route", "show", "table", "all")
			var said []string
			r, err := In(dir).Apply(t.Context(), "wg0", "x", fix.Steps{fix.Config(own, "MTU", "1280"), good, c.fails},
				func(line string) { said = append(said, line) })
			if err == nil || r != nil || !strings.Contains(err.Error(), c.fails.Command) {
				t.Errorf("%+v, %v", r, err)
			}
			if now := ip(t, "route", "show", "table", "all"); now != before || read(t, file) != text {
				t.Errorf("left: %s and %q", now, read(t, file))
			}
			if left, err := In(dir).List(); err != nil || len(left) > 0 {
				t.Errorf("in the journal: %+v, %v", left, err)
			}
			want := []string{"MTU = 1280", good.Command, c.fails.Command, "undone: " + good.Command, "undone: MTU = 1280"}
			if !c.begun {
				want = nil
			}
			if !slices.Equal(said, want) {
				t.Errorf("said %q, want %q", said, want)
			}
		})
	}
}

// What took too long may have been done, and is undone.
func TestUndoesWhatTookTooLong(t *testing.T) {
	enter(t)
	old := commandTime
	t.Cleanup(func() { commandTime = old })
	commandTime = 300 * time.Millisecond
	slow := filepath.Join(t.TempDir(), "slow")
	if err := os.WriteFile(slow, []byte("#!/bin/sh\nip route add 203.0.113.0/24 dev lo\nexec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	d := Deed{Step: "slow", Do: []string{slow}, Undo: [][]string{{"ip", "route", "del", "203.0.113.0/24", "dev", "lo"}}}
	if err := d.do(t.Context()); !errors.Is(err, errTime) || !d.Done {
		t.Fatalf("done %v, %v", d.Done, err)
	}
	if err := d.undo(t.Context()); err != nil {
		t.Error(err)
	}
	if now := ip(t, "route", "show", "table", "all"); strings.Contains(now, "203.0.113.0") {
		t.Errorf("left: %s", now)
	}
}
