package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/inherit"
	"github.com/wgnode/wgnode/node/safefile"
)

// A command that leaves a process in the background starts this program once
// more and hears from it through a pipe: that it is ready, or why it is not. There
// is no time-out to guess. If the pipe ends before either, the process has died.
// Until it is ready the process belongs to the command's terminal: hooks may ask
// questions there, and Ctrl-C is for both. Then it begins a session of its own.

// reportEnv tells the process in the background which descriptor the pipe is.
const reportEnv = "WGNODE_REPORT_FD"

// message is one line of JSON in the pipe.
type message struct {
	Ready  bool     `json:"ready,omitempty"`
	Error  string   `json:"error,omitempty"`
	Hints  []string `json:"hints,omitempty"`
	Status int      `json:"status,omitempty"` // to exit with because of Error
}

// Reporter is the end of the pipe that the process in the background has. A
// nil reporter is that of a process in the foreground; its methods do nothing.
type Reporter struct {
	pipe *os.File
	enc  *json.Encoder
}

// TakeReporter returns the reporter of this process, once: processes that it
// starts are none of the parent's business.
func TakeReporter() *Reporter {
	fd, err := strconv.Atoi(os.Getenv(reportEnv))
	if err != nil || os.Unsetenv(reportEnv) != nil {
		return nil
	}
	closeOnExec(fd)
	pipe := os.NewFile(uintptr(fd), "report")
	return &Reporter{pipe, json.NewEncoder(pipe)}
}

// Ready says that all went well, and cuts the ties to the parent: its terminal,
// its folder, its input and its output. What is written to standard output and error from
// then on goes to the log, if there is one. It fails if the parent has died:
// whoever wanted this process does not know of it then.
func (r *Reporter) Ready(log string) error {
	if r == nil {
		return nil
	}
	if log == "" {
		log = os.DevNull
	}
	in, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("go to the background: %w", err)
	}
	out, err := safefile.Append(log, 0o600)
	if err != nil {
		return fmt.Errorf("go to the background: %w", errors.Join(err, in.Close()))
	}
	if err := errors.Join(redirect(in, 0), redirect(out, 1, 2), os.Chdir("/")); err != nil {
		return fmt.Errorf("go to the background: %w", err)
	}
	return r.Detach()
}

// Detach says that all went well, in a session of this process's own: what the
// terminal sends to its processes is not for this one any more.
func (r *Reporter) Detach() error {
	if err := beginSession(); err != nil {
		return fmt.Errorf("go to the background: begin a session: %w", err)
	}
	return r.finish(message{Ready: true})
}

// redirect makes descriptors stand for a file, and closes f.
func redirect(f *os.File, fds ...int) error {
	for _, fd := range fds {
		if err := standFor(f, fd); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// Failed hands err to the parent, if it still waits, to be printed there.
func (r *Reporter) Failed(err error) error {
	if r == nil || err == nil || r.pipe == nil {
		return err
	}
	if werr := r.finish(message{Error: err.Error(), Hints: cli.Hints(err), Status: cli.StatusOf(err)}); werr != nil {
		return errors.Join(err, werr)
	}
	return cli.ExitStatus(cli.StatusOf(err))
}

func (r *Reporter) finish(m message) error {
	err := errors.Join(r.enc.Encode(m), r.pipe.Close())
	r.pipe = nil
	if err != nil {
		return fmt.Errorf("report to the parent process: %w", err)
	}
	return nil
}

// Launch is what to start in the background.
type Launch struct {
	Args  []string   // without the program's name
	Env   []string   // besides this process's
	Files []*os.File // become descriptors 4 and up
}

// Background starts a process and returns when it is ready, or has failed and
// ended. Until then it has this one's folder, terminal, input and output: it
// prints its steps, and hooks may ask questions. If ctx ends first, the process is
// asked to end.
func Background(ctx context.Context, l Launch) error {
	if err := canDetach(); err != nil {
		return err
	}
	ctx, cancel := cli.DuringStart(ctx)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	pipe, childPipe, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start process in the background: %w", err)
	}
	defer pipe.Close()
	child := exec.Command(self, l.Args...)
	child.Args[0] = "wgnode" // whatever this process is called
	child.Env = append(append(os.Environ(), l.Env...), reportEnv+"=3")
	child.ExtraFiles = append([]*os.File{childPipe}, l.Files...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err = inherit.OnlyStandard(); err == nil {
		err = child.Start()
	}
	if cerr := childPipe.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("start process in the background: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = child.Process.Signal(syscall.SIGTERM) })
	defer stop()
	ready, err := listen(pipe)
	if ready {
		return child.Process.Release()
	}
	waitErr := child.Wait()
	if err != nil {
		return err
	}
	return fmt.Errorf("the process in the background died: %s", died(waitErr))
}

// listen reads what the process says until it is ready, has failed, or is gone.
func listen(pipe io.Reader) (ready bool, err error) {
	var m message
	if json.NewDecoder(pipe).Decode(&m) != nil {
		return false, nil
	}
	if m.Error != "" {
		return false, &cli.StatusError{Err: cli.WithHint(errors.New(m.Error), m.Hints...), Status: m.Status}
	}
	return m.Ready, nil
}

func died(waitErr error) string {
	if waitErr == nil {
		return "it ended"
	}
	return waitErr.Error()
}
