//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe/patience"
)

// Cmd is an [exec.Cmd] whose program runs in a host. Its fields and methods
// are those of exec.Cmd, which also document it.
type Cmd struct {
	*exec.Cmd
	host *Host
}

// Command returns a command that will run in the host, in the test's working
// directory. When ctx is done the program is killed. The process id, once
// started, is that on the machine; the program itself sees another.
func (h *Host) Command(ctx context.Context, args ...string) *Cmd {
	return &Cmd{Cmd: exec.CommandContext(ctx, args[0], args[1:]...), host: h}
}

// Start starts the program in the host.
func (c *Cmd) Start() error { return c.host.Do(c.Cmd.Start) }

// Run starts the program in the host and waits for its end.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the program in the host and returns its standard output. Unlike
// exec.Cmd's, the error does not include the standard error.
func (c *Cmd) Output() ([]byte, error) { return c.capture(&c.Stdout) }

// CombinedOutput runs the program in the host and returns its standard output
// and standard error together.
func (c *Cmd) CombinedOutput() ([]byte, error) { return c.capture(&c.Stdout, &c.Stderr) }

// capture runs the program with its output going to a file. With a pipe,
// waiting for the end of the output would mean waiting for the end of every
// daemon that the program left in the background.
func (c *Cmd) capture(streams ...*io.Writer) ([]byte, error) {
	file, err := os.CreateTemp("", "wgnode-lab-output-")
	if err != nil {
		return nil, fmt.Errorf("make output file: %w", err)
	}
	defer file.Close()
	if err := os.Remove(file.Name()); err != nil {
		return nil, fmt.Errorf("unlink output file: %w", err)
	}
	for _, s := range streams {
		if *s != nil {
			return nil, errors.New("lab: output of the command is already set")
		}
		*s = file
	}
	runErr := c.Run()
	// The descriptor's offset is shared with the program, so it is at the end.
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(runErr, err)
	}
	out, err := io.ReadAll(file)
	return out, errors.Join(runErr, err)
}

// Try runs a program in the host and returns its output, standard and error
// together, and its exit status. err is not nil only when there is no exit
// status: the program could not be started, was killed by a signal, or took
// longer than [patience.Limit]. Programs left in the background do not delay it.
func (h *Host) Try(args ...string) (out string, status int, err error) {
	return h.TryInput("", args...)
}

// TryInput is [Host.Try] for a program that reads its standard input.
func (h *Host) TryInput(input string, args ...string) (out string, status int, err error) {
	limit := patience.Limit()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := h.Command(ctx, args...)
	cmd.Stdin = strings.NewReader(input)
	// A program that does not read its input must not delay its own end.
	cmd.WaitDelay = time.Second
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return string(b), exit.ExitCode(), nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("not done within %v: %w", limit, err)
	}
	if err != nil {
		return string(b), -1, fmt.Errorf("run %s on host %s: %w", strings.Join(args, " "), h.name, err)
	}
	return string(b), 0, nil
}

// Run runs a program in the host and returns its output, standard and error
// together. Any exit status but 0 ends the test.
func (h *Host) Run(args ...string) string {
	h.t.Helper()
	return h.RunInput("", args...)
}

// Until waits until a condition of the shell holds: what has no event.
func (h *Host) Until(condition string) {
	h.t.Helper()
	h.Run("sh", "-c", "until "+condition+"; do sleep 0.02; done")
}

// Ping waits for the answer to an echo request.
func (h *Host) Ping(addr string) {
	h.t.Helper()
	h.Run("ping", "-c", "1", "-W", patience.Seconds(), addr)
}

// RunInput is [Host.Run] for a program that reads its standard input.
func (h *Host) RunInput(input string, args ...string) string {
	h.t.Helper()
	out, status, err := h.TryInput(input, args...)
	if err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
	if status != 0 {
		h.t.Fatalf("%s: %s: exit status %d\n%s", h.name, strings.Join(args, " "), status, out)
	}
	return out
}
