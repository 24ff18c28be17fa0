package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
)

// A record has its level as a priority, whatever is added to its log, and no time.
func TestJournalLog(t *testing.T) {
	var b strings.Builder
	text := func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, o) }
	log := slog.New(NewJournalLog(&b, slog.HandlerOptions{Level: slog.LevelDebug}, text))
	log.Info("up", "interface", "wg0")
	log.With("peer", "a").Warn("two\nlines")
	log.WithGroup("g").Error("no", "time", "x")
	log.Debug("all")
	want := "<6>msg=up interface=wg0\n<4>msg=\"two\\nlines\" peer=a\n<3>msg=no g.time=x\n<7>msg=all\n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	b.Reset()
	lines := JournalLines{&b}
	if _, err := io.WriteString(&lines, "[#] ip link\n[!] left\nWarning: x\n"); err != nil {
		t.Fatal(err)
	}
	if want := "<6>[#] ip link\n<4>[!] left\n<4>Warning: x\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// Only what the service manager named leads to the journal.
func TestIsJournal(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/journal")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	for stream, want := range map[string]bool{"": false, "1:2": false, fmt.Sprintf("%d:%d", st.Dev, st.Ino): true} {
		t.Setenv("JOURNAL_STREAM", stream)
		if got := IsJournal(f); got != want {
			t.Errorf("%q: %v", stream, got)
		}
		if IsJournal(new(strings.Builder)) {
			t.Error("what is no file leads to the journal")
		}
	}
}
