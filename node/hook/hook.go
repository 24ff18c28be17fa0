// Package hook runs the commands of PreUp, PostUp, PreDown and PostDown as
// wg-quick does: each by a bash of its own, in order, `%i` replaced by the name
// of the interface. bash runs as wg-quick's does: the first command that fails
// ends the hook (-e), also within a pipeline (-o pipefail), the patterns of
// extglob are known, and the locale is C.
//
// A hook finds what a hook of wg-quick's can rely on: $INTERFACE, $CONFIG_FILE,
// the terminal of the command that runs it, and no descriptor but 0, 1 and 2.
//
// A hook may hold a secret, so its text goes nowhere but to the terminal of the
// person who brings the interface up, where wg-quick prints it too: not into
// errors, and not into the arguments of a process, which everybody can read.
package hook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/node/inherit"
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
	Config         string   // path of the configuration, for $CONFIG_FILE; "" for none
}

// Terminal is a Shell on this process's own input and output.
func Terminal() Shell { return Shell{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr} }

// Expand replaces `%i` in a command.
func Expand(command, link string) string { return strings.ReplaceAll(command, "%i", link) }

// Failure is the error of a command that ended with another status than 0.
type Failure struct {
	Phase Phase
	exit  *exec.ExitError
}

func (f *Failure) Error() string { return fmt.Sprintf("run %s hook: %v", f.Phase, f.exit) }
func (f *Failure) Unwrap() error { return f.exit }

// Status is the command's, as a shell has it in $?: 128 and the number of the
// signal that has killed the command, if one has.
func (f *Failure) Status() int {
	if w, ok := f.exit.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return f.exit.ExitCode()
}

// receive is all that is seen of a hook in the list of processes. It takes the
// command from descriptor 3 and runs it as wg-quick does, by eval.
const receive = `IFS= read -r -d '' hook <&3 || :; exec 3<&-; eval "$hook"`

// Run runs one command, in which Expand has replaced what it replaces, and
// waits for its end. If ctx ends, the command and what it has started get
// SIGTERM, and the command SIGKILL a while later. Processes that it leaves in the
// background are not waited for. A command that fails is a [*Failure]. No error
// holds the command: it may be secret.
func (s Shell) Run(ctx context.Context, phase Phase, link, command string) error {
	c := exec.CommandContext(ctx, "bash", "-O", "extglob", "-e", "-o", "pipefail", "-c", receive, "wg-quick")
	c.Dir = s.Dir
	env, err := s.environ(link)
	if err != nil {
		return fmt.Errorf("run %s hook: %w", phase, err)
	}
	c.Env = env
	c.Cancel = func() error {
		// bash passes no signal on to the command that it waits for.
		for _, child := range children(c.Process.Pid) {
			terminate(child)
		}
		return c.Process.Signal(syscall.SIGTERM)
	}
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
	text, err := inMemory(command)
	if err != nil {
		return fmt.Errorf("run %s hook: %w", phase, err)
	}
	defer text.Close() // it is not written to any more
	c.ExtraFiles = []*os.File{text}
	if err := inherit.OnlyStandard(); err != nil {
		return fmt.Errorf("run %s hook: %w", phase, err)
	}
	err = c.Run()
	var status *exec.ExitError
	switch {
	case ctx.Err() != nil && err != nil:
		return fmt.Errorf("run %s hook: %w", phase, context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("run %s hook: bash is not installed: %w", phase, err)
	case errors.As(err, &status):
		return &Failure{phase, status}
	case err != nil:
		return fmt.Errorf("run %s hook: %w", phase, err)
	}
	return nil
}

// environ is this process's environment and what wg-quick adds for hooks.
func (s Shell) environ(link string) ([]string, error) {
	env := append(slices.DeleteFunc(os.Environ(), isLocale), "LC_ALL=C", "INTERFACE="+link)
	if s.Config == "" {
		return env, nil
	}
	path, err := filepath.Abs(s.Config) // the command may change its folder
	if err != nil {
		return nil, fmt.Errorf("find configuration: %w", err)
	}
	return append(env, "CONFIG_FILE="+path), nil
}

// At adds to an error of Run where the hook stands, as "wg0.conf:12": of a command
// that was not found the status alone says nothing. A nil err stays nil.
func At(place string, err error) error {
	if err == nil || place == "" {
		return err
	}
	return fmt.Errorf("%s: %w", place, err)
}

func isLocale(variable string) bool { return strings.HasPrefix(variable, "LC_ALL=") }
