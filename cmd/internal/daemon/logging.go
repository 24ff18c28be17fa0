package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/safefile"
)

// LogFlags say where a node's log goes, and what.
type LogFlags struct{ file, level, format string }

// Add gives cmd these flags.
func (f *LogFlags) Add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "log", "", "append the log to `FILE`")
	cmd.Flags().StringVar(&f.level, "log-level", "info",
		"`LEVEL` of the log: error, warn, info, or debug, which has all that the WireGuard device says")
	cmd.Flags().StringVar(&f.format, "log-format", "text", "`FORMAT` of the log: text, or json, an object a line")
	// These fail only for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("log", cli.CompleteFile)
	_ = cmd.RegisterFlagCompletionFunc("log-level",
		cobra.FixedCompletions([]string{"error", "warn", "info", "debug"}, cobra.ShellCompDirectiveNoFileComp))
}

// Check reads the level, which is a usage error if it is none, as is another format.
func (f *LogFlags) Check(cmd *cobra.Command) (level slog.Level, err error) {
	if f.format != "text" && f.format != "json" {
		return level, cli.NewUsageError(cmd, fmt.Errorf("--log-format %s: want text or json", f.format))
	}
	switch f.level {
	case "error", "warn", "info", "debug":
		return level, level.UnmarshalText([]byte(f.level))
	}
	return level, cli.NewUsageError(cmd, fmt.Errorf("--log-level %s: want error, warn, info or debug", f.level))
}

// MakeAbsolute makes the path of the file one that a process in the background can use, which
// works in another folder.
func (f *LogFlags) MakeAbsolute() (err error) {
	if f.file == "" {
		return nil
	}
	written := f.file
	if f.file, err = filepath.Abs(written); err != nil {
		return fmt.Errorf("find log %s: %w", written, err)
	}
	return nil
}

// Open returns where the node's log goes: into the file, if one is given, else to
// standard error, or nowhere for a process in the background.
func (f *LogFlags) Open(cmd *cobra.Command, background bool) (slog.Handler, error) {
	level, err := f.Check(cmd)
	if err != nil {
		return nil, err
	}
	opt := &slog.HandlerOptions{Level: level}
	switch {
	case f.file != "":
		file, err := safefile.Append(f.file, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
		return f.handler(file, opt), nil
	case background:
		return slog.DiscardHandler, nil
	case cli.IsJournal(cmd.ErrOrStderr()):
		return cli.NewJournalLog(cmd.ErrOrStderr(), *opt, f.handler), nil
	}
	return f.handler(cmd.ErrOrStderr(), opt), nil
}

func (f *LogFlags) handler(w io.Writer, opt *slog.HandlerOptions) slog.Handler {
	if f.format == "json" {
		return slog.NewJSONHandler(w, opt)
	}
	return slog.NewTextHandler(w, opt)
}

// StepLines are the lines of a node that say what it does to the host. They go to
// the terminal of who brings it up; and from when that has gone, into the log.
type StepLines struct {
	mu   sync.Mutex
	to   io.Writer
	into *slog.Logger     // nil until then
	fold *cli.FoldedLines // nil: each line is told
}

// NewStepLines are those of a node that cmd brings up.
func NewStepLines(cmd *cobra.Command, quiet, verbose bool) *StepLines {
	s := &StepLines{to: cmd.ErrOrStderr()}
	if cli.IsJournal(s.to) {
		s.to = &cli.JournalLines{To: s.to}
	}
	switch {
	case quiet:
		s.to = &cli.QuietLines{To: s.to}
	case !verbose:
		s.fold = &cli.FoldedLines{To: s.to}
		s.to = s.fold
	}
	return s
}

// Flush writes what was held back to be one line with what might have come.
func (s *StepLines) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fold != nil {
		_ = s.fold.Flush() // nobody may be there to read it
	}
}

// Write writes whole lines.
func (s *StepLines) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.into == nil {
		return s.to.Write(b)
	}
	for line := range bytes.Lines(b) {
		s.into.Log(context.Background(), cli.LineLevel(string(line)), string(bytes.TrimSpace(line)))
	}
	return len(b), nil
}

// Ready is the reporter's. Where that cuts the ties to the terminal, what comes
// next goes to the log.
func (s *StepLines) Ready(parent *Reporter, f *LogFlags, log *slog.Logger) error {
	s.Flush()
	err := parent.Ready(f.file)
	if err == nil && parent != nil {
		s.mu.Lock()
		s.into = log
		s.mu.Unlock()
	}
	if f.file != "" {
		log.Info("up")
	}
	return err
}

// Ended says in the log that the node is down.
func (f *LogFlags) Ended(log *slog.Logger, err error) {
	switch {
	case f.file == "":
	case err != nil && !errors.Is(err, context.Canceled):
		log.Error("down", "error", err)
	default:
		log.Info("down")
	}
}
