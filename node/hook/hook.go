// Package hook runs the commands of PreUp, PostUp, PreDown and PostDown as
// wg-quick does: each by a bash of its own, in order, `%i` replaced by the name
// of the interface. bash runs as wg-quick's does: the first command that fails
// ends the hook (-e), also within a pipeline (-o pipefail), the patterns of
// extglob are known, and the locale is C.
//
// A hook may hold a secret, so its text goes nowhere but to the terminal of
// whoever brings the interface up, where wg-quick prints it too.
package hook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Phase is when a hook runs.
type Phase string

// The phases, spelled as the keys of the configuration.
const (
	PreUp    Phase = "PreUp"
	PostUp   Phase = "PostUp"
	PreDown  Phase = "PreDown"
	PostDown Phase = "PostDown"
)

// grace is what a hook gets to end in when it is told to.
const grace = 5 * time.Second

// Shell runs hooks. The zero value runs them without input and output.
type Shell struct {
	Stdin          *os.File // nil: empty
	Stdout, Stderr *os.File // nil: thrown away
	Dir            string   // where the commands run; "" is this process's folder
}

// Terminal is a Shell on this process's own input and output.
func Terminal() Shell { return Shell{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr} }

// Expand replaces `%i` in a command.
func Expand(command, link string) string { return strings.ReplaceAll(command, "%i", link) }

// Run runs one command, in which Expand has replaced what it replaces, and
// waits for its end. If ctx ends, the command gets SIGTERM and, a while later,
// SIGKILL. Processes that it leaves in the background are not waited for. The
// error does not hold the command: it may be secret.
func (s Shell) Run(ctx context.Context, phase Phase, link, command string) error {
	c := exec.CommandContext(ctx, "bash", "-O", "extglob", "-e", "-o", "pipefail", "-c", command, "wg-quick")
	c.Dir = s.Dir
	c.Env = append(slices.DeleteFunc(os.Environ(), isLocale), "LC_ALL=C", "INTERFACE="+link)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = grace
	// A nil *os.File in an interface is not nil.
	if s.Stdin != nil {
		c.Stdin = s.Stdin
	}
	if s.Stdout != nil {
		c.Stdout = s.Stdout
	}
	if s.Stderr != nil {
		c.Stderr = s.Stderr
	}
	err := c.Run()
	var status *exec.ExitError
	switch {
	case ctx.Err() != nil && err != nil:
		return fmt.Errorf("run %s hook: %w", phase, context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("run %s hook: there is no bash: %w", phase, err)
	case errors.As(err, &status):
		return fmt.Errorf("run %s hook: %w", phase, status)
	case err != nil:
		return fmt.Errorf("run %s hook: %w", phase, err)
	}
	return nil
}

func isLocale(variable string) bool { return strings.HasPrefix(variable, "LC_ALL=") }
