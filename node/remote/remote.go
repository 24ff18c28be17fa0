// Package remote has a wgnode on another host record what passes there. It is run
// by some command, ssh as a rule, and speaks over that command's standard streams:
// the recording comes out of its standard output, and the end of its standard input
// is the end of the recording. So nothing stays behind on the other host, whatever
// becomes of this process.
package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/wgnode/wgnode/probe/recording"
)

const (
	// finishTime is how long the other host may take to end a recording when it is
	// asked to; then the command is killed.
	finishTime = 8 * time.Second
	// saidKept bounds how much of what the command says is kept, in bytes.
	saidKept = 8 << 10
)

// Errors that say what to do about, for errors.Is.
var (
	// ErrNoProgram: the command, or wgnode on the other host, is not there.
	ErrNoProgram = errors.New("no such program")
	// ErrConnect: ssh could not connect, or not log in.
	ErrConnect = errors.New("no connection")
	// ErrRefused: the other wgnode ran and could not record.
	ErrRefused = errors.New("it cannot record")
)

// Recorder is a recording that is made on another host. Its methods are not safe for
// concurrent use.
type Recorder struct {
	cmd   *exec.Cmd
	stdin io.Closer
	said  said
	file  *os.File
	ready chan struct{} // closed when the head has come
	ended chan struct{} // closed when reading has ended
	err   error         // how it did; valid once ended is closed
	meta  recording.Meta

	waited sync.Once
	status error // of the command
}

// Start runs a command that is to record to its standard output, and copies that
// into file. Finish or Abort must be called; when ctx ends the recording does, too.
func Start(ctx context.Context, args []string, file *os.File) (*Recorder, error) {
	r := &Recorder{cmd: exec.CommandContext(ctx, args[0], args[1:]...), file: file, ready: make(chan struct{}), ended: make(chan struct{})}
	stdin, err := r.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", args[0], err)
	}
	r.stdin = stdin
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", args[0], err)
	}
	r.cmd.Stderr = &r.said
	r.cmd.Cancel = stdin.Close // the other end is told first
	r.cmd.WaitDelay = finishTime
	if err := r.cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			err = errors.Join(ErrNoProgram, err)
		}
		return nil, fmt.Errorf("run %s: %w", args[0], err)
	}
	go func() {
		defer close(r.ended)
		r.err = r.read(stdout)
	}()
	return r, nil
}

// read copies the recording, and makes sure that it is one, and whole.
func (r *Recorder) read(stdout io.Reader) error {
	in := io.TeeReader(stdout, r.file)
	rd, err := recording.NewReader(in)
	if err != nil {
		return err
	}
	r.meta = *rd.Meta()
	close(r.ready)
	for {
		_, err := rd.Next()
		switch {
		case errors.Is(err, io.EOF) && rd.Complete():
			return nil
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
}

// Ready waits until the other host records.
func (r *Recorder) Ready(ctx context.Context) error {
	select {
	case <-r.ready:
		return nil
	case <-r.ended:
		r.Abort()
		return r.failure(errors.Join(r.err, r.wait()))
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("%w: it did not begin in time %s", ErrRefused, r.said.String())
		}
		return ctx.Err()
	}
}

// Meta is what the recording says of itself, once it is ready.
func (r *Recorder) Meta() *recording.Meta { return &r.meta }

// Finish ends the recording and waits for the rest of it.
func (r *Recorder) Finish() error {
	if err := r.stdin.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("end the recording: %w", err)
	}
	late := time.AfterFunc(finishTime, func() { _ = r.cmd.Process.Kill() }) // it may have ended
	defer late.Stop()
	<-r.ended
	if err := errors.Join(r.err, r.wait()); err != nil {
		return r.failure(err)
	}
	return nil
}

// Abort ends the recording, whose content does not matter any more.
func (r *Recorder) Abort() {
	_ = r.stdin.Close() // it ends by itself then
	late := time.AfterFunc(finishTime/4, func() { _ = r.cmd.Process.Kill() })
	defer late.Stop()
	<-r.ended
	_ = r.wait()
}

func (r *Recorder) wait() error {
	r.waited.Do(func() { r.status = r.cmd.Wait() })
	if errors.Is(r.status, exec.ErrWaitDelay) {
		return nil
	}
	return r.status
}

// failure says why there is no recording, in the words of who knows.
func (r *Recorder) failure(err error) error {
	var exit *exec.ExitError
	kind := ErrRefused
	if errors.As(err, &exit) {
		switch exit.ExitCode() {
		case 126, 127: // of shells
			kind = ErrNoProgram
		case 255: // ssh's own
			kind = ErrConnect
		}
		err = exit
	}
	if text := r.said.String(); text != "" {
		return fmt.Errorf("%w: %s", kind, text)
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// said keeps the last words of a command, but not what it says when all is well.
type said struct {
	mu sync.Mutex
	b  []byte
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b = append(s.b, b...)
	if len(s.b) > saidKept {
		s.b = s.b[len(s.b)-saidKept:]
	}
	return len(b), nil
}

// String is what was said, in one line.
func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for line := range bytes.Lines(s.b) {
		text := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(string(line)), "wgnode: "))
		if text != "" && !strings.HasPrefix(text, "recording ") {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines, "; ")
}
