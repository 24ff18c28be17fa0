package plan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// stage is a fake kernel with a runner and a journal for it.
type stage struct {
	*fake
	Runner
	out   bytes.Buffer
	path  string
	steps []Step
}

func newStage(t *testing.T) *stage {
	s := &stage{fake: new(fake), path: filepath.Join(t.TempDir(), "wgnode", "wg0.json")}
	s.Runner = Runner{Kernel: s.fake, Device: s.fake, Out: &s.out}
	var err error
	s.steps, err = Build(conf(t, "Address = 10.0.0.1/24", "AllowedIPs = 10.1.0.0/16, 10.2.0.0/16"), State{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stage) create(t *testing.T) *Journal {
	t.Helper()
	j, err := CreateJournal(s.path, "wg0", "")
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func (s *stage) open(t *testing.T) *Journal {
	t.Helper()
	j, err := OpenJournal(s.path)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// wantNothing asserts that no trace is left, in the kernel or in the folder.
func (s *stage) wantNothing(t *testing.T) {
	t.Helper()
	if len(s.has)+len(s.stays) > 0 {
		t.Errorf("left: %v, %v", s.has, s.stays)
	}
	entries, err := os.ReadDir(filepath.Dir(s.path))
	if err != nil || len(entries) > 0 {
		t.Errorf("files left: %v, %v", entries, err)
	}
}

const undone = "[#] ip link delete dev wg0\n"

func TestApplyAndUndo(t *testing.T) {
	s := newStage(t)
	// Whenever something is about to be done, the file must say so already.
	s.before = func(change string) error {
		if strings.HasPrefix(change, "delete") {
			return nil
		}
		current := s.steps[strings.Count(s.out.String(), "\n")-1]
		current.Why = ""
		if recorded := s.open(t).Steps; !slices.Contains(recorded, current) {
			t.Errorf("at %q the journal holds %v", change, recorded)
		}
		return nil
	}
	if err := s.Apply(t.Context(), s.steps, s.create(t)); err != nil {
		t.Fatal(err)
	}
	want := `[#] ip link add dev wg0 type wireguard
[#] wg addconf wg0 /dev/fd/63
[#] ip -4 address add 10.0.0.1/24 dev wg0
[#] ip link set mtu 1420 up dev wg0
[#] ip -4 route add 10.2.0.0/16 dev wg0
[#] ip -4 route add 10.1.0.0/16 dev wg0
`
	if s.out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", &s.out, want)
	}
	if info, err := os.Stat(s.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("journal: %v, %v; want mode 0600", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Dir(s.path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v; want mode 0700", info.Mode(), err)
	}

	// As another process would, from the file alone.
	s.out.Reset()
	j := s.open(t)
	if alive, err := j.Process.Alive(); !alive || err != nil {
		t.Errorf("the journal's process, which is this one: alive %v, %v", alive, err)
	}
	if err := (&Runner{Kernel: s.fake, Out: &s.out}).Undo(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if s.out.String() != undone {
		t.Errorf("printed\n%s\nwant\n%s", &s.out, undone)
	}
	s.wantNothing(t)
}

func TestExplainAndSkip(t *testing.T) {
	s := newStage(t)
	s.Explain = true
	steps := []Step{s.steps[0], {Op: OpAddress, Link: "wg0", Prefix: netip.MustParsePrefix("fd00::1/64"), Why: "x", Skip: "no IPv6 here"}}
	if err := s.Apply(t.Context(), steps, s.create(t)); err != nil {
		t.Fatal(err)
	}
	want := "[#] ip link add dev wg0 type wireguard  # " + steps[0].Why + "\n" +
		"[!] skipped: ip -6 address add fd00::1/64 dev wg0: no IPv6 here\n"
	if s.out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", &s.out, want)
	}
	if got := s.open(t).Steps; len(got) != 1 {
		t.Errorf("the journal holds %v", got)
	}
}

// Wherever it fails, what was done is undone, and the error says what failed.
func TestApplyFails(t *testing.T) {
	broken := errors.New("broken")
	for _, at := range []string{"add link wg0", "configure", "add address 10.0.0.1/24", "up", "add route 10.2.0.0/16",
		"add route 10.1.0.0/16"} {
		t.Run(at, func(t *testing.T) {
			s := newStage(t)
			s.before = func(change string) error {
				if change == at {
					return broken
				}
				return nil
			}
			if err := s.Apply(t.Context(), s.steps, s.create(t)); !errors.Is(err, broken) {
				t.Errorf("got %v", err)
			}
			s.wantNothing(t)
		})
	}
}

func TestApplyIsCancelled(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("terminated")
	s.before = func(change string) error {
		if change == "up" {
			cancel(stop)
		}
		return nil
	}
	if err := s.Apply(ctx, s.steps, s.create(t)); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if strings.Contains(s.out.String(), "route") {
		t.Errorf("went on after it was cancelled:\n%s", &s.out)
	}
	s.wantNothing(t)
}

func TestUndoOfAKilledNode(t *testing.T) {
	s := newStage(t)
	if err := s.Apply(t.Context(), s.steps, s.create(t)); err != nil {
		t.Fatal(err)
	}
	s.out.Reset()
	s.index, s.has = 0, nil // a TUN device dies with its process

	t.Run("the name is free", func(t *testing.T) {
		b, err := os.ReadFile(s.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Undo(t.Context(), s.open(t)); err != nil || s.out.Len() > 0 {
			t.Errorf("got %v, printed %q", err, &s.out)
		}
		s.wantNothing(t)
		if err := os.WriteFile(s.path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("the name is another's by now", func(t *testing.T) {
		if err := s.Create(t.Context(), "wg0"); err != nil {
			t.Fatal(err)
		}
		if err := s.Undo(t.Context(), s.open(t)); err != nil || s.out.Len() > 0 {
			t.Errorf("got %v, printed %q", err, &s.out)
		}
		if !slices.Equal(s.has, []string{"link wg0"}) {
			t.Errorf("the other's link suffered: %v", s.has)
		}
	})
}

func TestUndoTakesGoneForUndone(t *testing.T) {
	s := newStage(t)
	if err := s.Apply(t.Context(), s.steps, s.create(t)); err != nil {
		t.Fatal(err)
	}
	s.out.Reset()
	s.has = slices.DeleteFunc(s.has, func(what string) bool { return what != "link wg0" })
	if err := s.Undo(t.Context(), s.open(t)); err != nil {
		t.Fatal(err)
	}
	if want := "[#] ip link delete dev wg0\n"; s.out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", &s.out, want)
	}
	s.wantNothing(t)
}

func TestUndoCanBeTriedAgain(t *testing.T) {
	s := newStage(t)
	if err := s.Apply(t.Context(), s.steps, s.create(t)); err != nil {
		t.Fatal(err)
	}
	s.before = func(change string) error {
		if change == "delete link wg0" {
			return unix.EPERM
		}
		return nil
	}
	if err := s.Undo(t.Context(), s.open(t)); !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v", err)
	}
	if got := fmt.Sprint(s.open(t).Steps); got != fmt.Sprint(s.steps[:1]) {
		t.Errorf("the journal keeps %v", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Undo(ended, s.open(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := len(s.open(t).Steps); got != 1 {
		t.Errorf("after a cancelled try the journal keeps %d steps", got)
	}
	s.before = nil
	if err := s.Undo(t.Context(), s.open(t)); err != nil {
		t.Errorf("second try: %v", err)
	}
	s.wantNothing(t)
}
