package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
)

// Under systemd what a process writes to standard error is lines of the journal. One that
// begins with <N> has that priority (sd-daemon(3)), so that `journalctl -p warning`
// finds it; the time is the journal's own.

// Priorities, as syslog(3) has them.
const (
	priorityError   = 3
	priorityWarning = 4
	priorityInfo    = 6
	priorityDebug   = 7
)

// IsJournal reports whether w leads to the journal: the service manager says which file
// does (systemd.exec(5), $JOURNAL_STREAM), as standard error may be redirected since.
func IsJournal(w io.Writer) bool {
	f, ok := w.(*os.File)
	stream := os.Getenv("JOURNAL_STREAM")
	if !ok || stream == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	return stream == streamOf(info)
}

func priorityOf(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return priorityError
	case level >= slog.LevelWarn:
		return priorityWarning
	case level >= slog.LevelInfo:
		return priorityInfo
	}
	return priorityDebug
}

// JournalLog writes records as lines of the journal.
type JournalLog struct {
	slog.Handler
	out *journalOut
}

// journalOut is what a log's handlers share.
type journalOut struct {
	mu       sync.Mutex
	to       io.Writer
	priority int // of the record that is written
}

// NewJournalLog is a log of records in the form that make gives them.
func NewJournalLog(w io.Writer, opt slog.HandlerOptions, make func(io.Writer, *slog.HandlerOptions) slog.Handler) *JournalLog {
	opt.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}
	out := &journalOut{to: w}
	return &JournalLog{make(out, &opt), out}
}

// Handle implements [slog.Handler].
func (j *JournalLog) Handle(ctx context.Context, r slog.Record) error {
	j.out.mu.Lock()
	defer j.out.mu.Unlock()
	j.out.priority = priorityOf(r.Level)
	return j.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (j *JournalLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &JournalLog{j.Handler.WithAttrs(attrs), j.out}
}

// WithGroup implements [slog.Handler].
func (j *JournalLog) WithGroup(name string) slog.Handler {
	return &JournalLog{j.Handler.WithGroup(name), j.out}
}

// Write writes one record. It is called by Handle alone.
func (o *journalOut) Write(b []byte) (int, error) {
	if _, err := o.to.Write(append(fmt.Appendf(nil, "<%d>", o.priority), b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// JournalLines gives a node's lines for people a priority: of warnings theirs.
type JournalLines struct{ To io.Writer }

// Write takes whole lines.
func (j *JournalLines) Write(b []byte) (int, error) {
	var lines bytes.Buffer
	for line := range strings.Lines(string(b)) {
		fmt.Fprintf(&lines, "<%d>%s", priorityOf(LineLevel(line)), line)
	}
	if _, err := j.To.Write(lines.Bytes()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// LineLevel is how grave a line for people is.
func LineLevel(line string) slog.Level {
	if strings.HasPrefix(line, "[!]") || strings.HasPrefix(line, "Warning: ") {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
