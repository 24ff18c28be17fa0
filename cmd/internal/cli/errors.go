package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/probe/harmless"
)

// Exit statuses: of what could not be done, and of a wrong command line.
const (
	StatusFailed = 1
	statusUsage  = 2
)

// errHint is an error with advice for the person at the terminal. Packages
// below cmd give facts; only here do errors say what to try.
type errHint struct {
	err   error
	hints []string
}

// WithHint adds hints, one line each, to err. A nil err stays nil.
func WithHint(err error, hints ...string) error {
	if err == nil {
		return nil
	}
	return &errHint{err, hints}
}

func (e *errHint) Error() string { return e.err.Error() }
func (e *errHint) Unwrap() error { return e.err }

// ExitStatus ends the program with that status and no message: whatever there
// was to say has been said. `explain` and `doctor` end so with 2 when they
// found a fault.
type ExitStatus int

func (s ExitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// StatusError is an error that ends the program with a status of its own.
type StatusError struct {
	Err    error
	Status int
}

func (e *StatusError) Error() string { return e.Err.Error() }
func (e *StatusError) Unwrap() error { return e.Err }

// Report prints err to w, each line as `wgnode: ...`, then its hints as
// `wgnode: hint: ...`, and returns the exit status.
func Report(w io.Writer, err error) int { return ReportAs(w, "wgnode", err, true) }

// ReportAs is Report for the program of that name, with hints or without.
func ReportAs(w io.Writer, program string, err error, withHints bool) int {
	var status ExitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	grave, advice := "", ""
	if IsJournal(w) {
		grave, advice = fmt.Sprintf("<%d>", priorityError), fmt.Sprintf("<%d>", priorityInfo)
	}
	// Where standard error cannot be written to, the status is all that is left.
	for line := range strings.Lines(err.Error()) {
		_, _ = fmt.Fprintf(w, "%s%s: %s\n", grave, program, harmless.Lines(strings.TrimSuffix(line, "\n")))
	}
	for _, line := range Hints(err) {
		if withHints {
			_, _ = fmt.Fprintf(w, "%s%s: hint: %s\n", advice, program, harmless.Line(line))
		}
	}
	return StatusOf(err)
}

// StatusOf is the status that err ends the program with. That of a hook is the
// command's, as with wg-quick.
func StatusOf(err error) int {
	var usage *usageError
	var own *StatusError
	var failed *hook.Failure
	switch {
	case errors.As(err, &usage):
		return statusUsage
	case errors.As(err, &own):
		return own.Status
	case errors.As(err, &failed):
		return failed.Status()
	}
	return StatusFailed
}

// Hints collects the advice in err, and in all that it is joined from. The
// innermost is the nearest to the cause, so it comes first.
func Hints(err error) (lines []string) {
	add := func(more []string) {
		for _, line := range more {
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		add(Hints(u.Unwrap()))
	case interface{ Unwrap() []error }:
		for _, e := range u.Unwrap() {
			add(Hints(e))
		}
	}
	if h, ok := err.(*errHint); ok {
		add(h.hints)
	}
	add(mend(err))
	return lines
}

// StatusFault is the exit status of explain and doctor when they find a fault.
const StatusFault = ExitStatus(2)

// ForCommand adds what any command is told alike of files that were not chosen, or that this user may
// not read.
func ForCommand(cmd *cobra.Command, err error) error {
	if open, ok := errors.AsType[*config.NotChosenError](err); ok {
		name := strings.TrimSuffix(open.Files[0], filepath.Ext(open.Files[0]))
		return WithHint(err, "name the one that is meant: "+CommandOf(cmd)+" "+config.ShellQuote(name))
	}
	path, ok := errors.AsType[*fs.PathError](err)
	told := slices.ContainsFunc(Hints(err), func(hint string) bool { return strings.Contains(hint, "sudo ") })
	if !ok || !errors.Is(path, fs.ErrPermission) || os.Geteuid() == 0 || told {
		return err
	}
	return WithHint(err, AsRoot(cmd))
}
