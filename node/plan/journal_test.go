package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestJournalIsExclusive(t *testing.T) {
	s := newStage(t)
	s.create(t)
	if _, err := CreateJournal(s.path, "wg0", ""); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := OpenJournal(s.path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that is not there: %v", err)
	}
	for _, text := range []string{"", "{", `{"version":99}`} {
		if err := os.WriteFile(s.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if j, err := OpenJournal(s.path); err == nil {
			t.Errorf("%q is read as %+v", text, j)
		}
	}
}

func TestProcessAlive(t *testing.T) {
	cat := exec.Command("cat")
	stdin, err := cat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	start, err := startOf(cat.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	p := Process{PID: cat.Process.Pid, Start: start}
	expect := func(p Process, want bool, when string) {
		t.Helper()
		if alive, err := p.Alive(); alive != want || err != nil {
			t.Errorf("%s: alive %v, %v", when, alive, err)
		}
	}
	expect(p, true, "while it runs")
	expect(Process{p.PID, p.Start + 1}, false, "the same id, another start")
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	// Wait for the end without collecting it.
	if err := unix.Waitid(unix.P_PID, p.PID, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	expect(p, false, "ended, not collected")
	if err := cat.Wait(); err != nil {
		t.Fatal(err)
	}
	expect(p, false, "collected")
}

// FuzzOpenJournal: whatever is in the file, it is read or refused.
func FuzzOpenJournal(f *testing.F) {
	f.Add([]byte(`{"version":1,"process":{"pid":1,"start":2},"link":"wg0","link_index":7,` +
		`"steps":[{"op":"route","link":"wg0","prefix":"::/0"}]}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, fmt.Sprintf("%d.json", os.Getpid()))
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := OpenJournal(path)
		if err != nil {
			return
		}
		for _, s := range j.Steps {
			_, _ = s.String(), s.UndoString()
		}
		if _, err := json.Marshal(j.journalFile); err != nil {
			t.Errorf("cannot be written again: %v", err)
		}
	})
}
