package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A command that leaves a process in the background starts this program once
// more, in a session of its own, and hears from it through a pipe: first what
// to print, then that it is ready, or why it is not. There is no time-out to
// guess. If the pipe ends before either, the process has died.

// reportEnv tells the process in the background which descriptor the pipe is.
const reportEnv = "WGNODE_REPORT_FD"

// message is one line of JSON in the pipe.
type message struct {
	Text  string   `json:"text,omitempty"` // to be printed as it is
	Ready bool     `json:"ready,omitempty"`
	Error string   `json:"error,omitempty"`
	Hints []string `json:"hints,omitempty"`
}

// reporter is the end of the pipe that the process in the background has. A
// nil reporter is that of a process in the foreground; its methods do nothing.
type reporter struct {
	pipe *os.File
	enc  *json.Encoder
}

// takeReporter returns the reporter of this process, once: processes that it
// starts are none of the parent's business.
func takeReporter() *reporter {
	fd, err := strconv.Atoi(os.Getenv(reportEnv))
	if err != nil || os.Unsetenv(reportEnv) != nil {
		return nil
	}
	unix.CloseOnExec(fd)
	pipe := os.NewFile(uintptr(fd), "report")
	return &reporter{pipe, json.NewEncoder(pipe)}
}

// Write has the parent print text.
func (r *reporter) Write(text []byte) (int, error) {
	if err := r.enc.Encode(message{Text: string(text)}); err != nil {
		return 0, err
	}
	return len(text), nil
}

// ready says that all went well, and cuts the ties to the parent. What is
// written to standard output and error from then on goes to the log, if there
// is one. It fails if the parent has died: whoever wanted this process does not
// know of it then.
func (r *reporter) ready(log string) error {
	if r == nil {
		return nil
	}
	if log == "" {
		log = os.DevNull
	}
	f, err := os.OpenFile(log, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("go to the background: %w", err)
	}
	for _, fd := range []int{1, 2} {
		if err := unix.Dup3(int(f.Fd()), fd, 0); err != nil {
			return errors.Join(fmt.Errorf("go to the background: %w", err), f.Close())
		}
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("go to the background: %w", err)
	}
	return r.finish(message{Ready: true})
}

// failed hands err to the parent, if it still waits, to be printed there.
func (r *reporter) failed(err error) error {
	if r == nil || err == nil || r.pipe == nil {
		return err
	}
	if werr := r.finish(message{Error: err.Error(), Hints: hints(err)}); werr != nil {
		return errors.Join(err, werr)
	}
	return exitStatus(statusFailed)
}

func (r *reporter) finish(m message) error {
	err := errors.Join(r.enc.Encode(m), r.pipe.Close())
	r.pipe = nil
	if err != nil {
		return fmt.Errorf("report to the parent process: %w", err)
	}
	return nil
}

// launch is what to start in the background.
type launch struct {
	args   []string   // without the program's name
	env    []string   // besides this process's
	files  []*os.File // become descriptors 4 and up
	output bool       // keep standard output and error
}

// background starts a process and returns when it is ready, or has failed and
// ended. What it has to say goes to out. If ctx ends first, the process is
// asked to end.
func background(ctx context.Context, out io.Writer, l launch) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	pipe, childPipe, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start process in the background: %w", err)
	}
	defer pipe.Close()
	child := exec.Command(self, l.args...)
	child.Dir = "/"
	child.Env = append(append(os.Environ(), l.env...), reportEnv+"=3")
	child.ExtraFiles = append([]*os.File{childPipe}, l.files...)
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var lastWords tail
	var reading sync.WaitGroup
	if l.output {
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
	} else {
		stderr, childStderr, err := os.Pipe()
		if err != nil {
			return errors.Join(fmt.Errorf("start process in the background: %w", err), childPipe.Close())
		}
		defer stderr.Close()
		defer childStderr.Close()
		child.Stderr = childStderr
		reading.Go(func() { _, _ = io.Copy(&lastWords, stderr) })
	}
	err = child.Start()
	if cerr := childPipe.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("start process in the background: %w", err)
	}
	if f, ok := child.Stderr.(*os.File); ok && !l.output {
		_ = f.Close() // the child has its own
	}
	stop := context.AfterFunc(ctx, func() { _ = child.Process.Signal(syscall.SIGTERM) })
	defer stop()
	ready, err := listen(pipe, out)
	if ready {
		return child.Process.Release()
	}
	waitErr := child.Wait()
	reading.Wait()
	if err != nil {
		return err
	}
	return died(waitErr, lastWords.String())
}

// listen reads what the process says until it is ready, has failed, or is gone.
func listen(pipe io.Reader, out io.Writer) (ready bool, err error) {
	dec := json.NewDecoder(pipe)
	for {
		var m message
		if dec.Decode(&m) != nil {
			return false, nil
		}
		switch {
		case m.Ready:
			return true, nil
		case m.Error != "":
			return false, withHint(errors.New(m.Error), m.Hints...)
		}
		// Where nobody can read it, the tunnel is wanted all the same.
		_, _ = io.WriteString(out, m.Text)
	}
}

func died(waitErr error, lastWords string) error {
	how := "ended"
	if waitErr != nil {
		how = waitErr.Error()
	}
	text := "the process in the background died: " + how
	if lastWords != "" {
		text += "\n" + strings.TrimSpace(lastWords)
	}
	return errors.New(text)
}

// tail keeps the end of what is written to it.
type tail struct{ buf []byte }

const tailSize = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - tailSize; over > 0 {
		t.buf = bytes.Clone(t.buf[over:])
	}
	return len(b), nil
}

func (t *tail) String() string { return string(t.buf) }
