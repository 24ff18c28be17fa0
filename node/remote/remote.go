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
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/probe/recording"
)

const (
	// finishTime is how long the other host may take to end a recording when it is
	// asked to; then the command is killed.
	finishTime = 8 * time.Second
	// killTime is how long it may take when nobody wants the recording any more.
	killTime = 2 * time.Second
	// maxRecording bounds a recording, in bytes: it is kept on this host's disk, and
	// the other side says how much of it there is. Headers of half a million packets fit.
	maxRecording = 128 << 20
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

// Why the other wgnode refuses, as far as its words tell: each comes with ErrRefused. All that
// it has for saying so are the lines of its standard error, those of earlier releases included.
var (
	// ErrDenied: its user may not.
	ErrDenied = errors.New("it is not allowed to")
	// ErrSeveral: several tunnels run there, and none was named.
	ErrSeveral = errors.New("several tunnels run there")
	// ErrNoTunnel: none has the name that it was given.
	ErrNoTunnel = errors.New("no tunnel has that name")
	// ErrUnknown: it does not understand what it was asked.
	ErrUnknown = errors.New("it does not understand")
)

// refusals are these, with the words that tell them.
var refusals = []struct {
	is    error
	words []string
}{
	{is: ErrDenied, words: []string{"permission denied"}},
	{is: ErrSeveral, words: []string{"more than one tunnel", "several nodes"}},
	{is: ErrNoTunnel, words: []string{"unknown word", "there is no tunnel"}},
	{is: ErrUnknown, words: []string{"unknown"}},
}

// refusedError is ErrRefused and what else was understood.
type refusedError []error

func (refusedError) Error() string     { return ErrRefused.Error() }
func (e refusedError) Unwrap() []error { return e }

// refusal is ErrRefused as the words of the other wgnode have it.
func refusal(said string) error {
	e := refusedError{ErrRefused}
	for _, r := range refusals {
		if slices.ContainsFunc(r.words, func(w string) bool { return strings.Contains(said, w) }) {
			e = append(e, r.is)
		}
	}
	return e
}

// errLate is why a command was killed.
var errLate = fmt.Errorf("it was asked to end, and did not within %s", finishTime)

// Recorder is a recording that is made on another host. Its methods are not safe for
// concurrent use.
type Recorder struct {
	cmd      *exec.Cmd
	stdin    io.Closer
	stdout   *os.File
	terminal *terminal // that the command has until the head has come
	said     said
	file     *os.File
	ready    chan struct{} // closed when the head has come
	ended    chan struct{} // closed when reading has ended
	err      error         // how it did; valid once ended is closed

	killed atomic.Bool   // by us, before its output ended
	exited chan struct{} // closed when the command has ended
	status error         // of it; valid once exited is closed
}

// Start runs a command that is to record to its standard output, and copies that
// into file. Finish or Abort must be called; when ctx ends the recording does, too.
// The command has a process group of its own, which ends with the recording, whatever
// it has started.
func Start(ctx context.Context, args []string, file *os.File) (*Recorder, error) {
	r := &Recorder{cmd: exec.CommandContext(ctx, args[0], args[1:]...), file: file,
		ready: make(chan struct{}), ended: make(chan struct{}), exited: make(chan struct{})}
	if err := r.start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			err = errors.Join(ErrNoProgram, err)
		}
		return nil, fmt.Errorf("run %s: %w", args[0], err)
	}
	go func() {
		defer close(r.ended)
		r.err = r.read()
		r.terminal.takeBack()
	}()
	go r.watch()
	return r, nil
}

func (r *Recorder) start() error {
	stdin, err := r.cmd.StdinPipe()
	if err != nil {
		return err
	}
	r.stdin = stdin
	stdout, w, err := os.Pipe()
	if err != nil {
		return errors.Join(err, stdin.Close())
	}
	r.stdout, r.cmd.Stdout, r.cmd.Stderr = stdout, w, &r.said
	r.cmd.Cancel, r.cmd.WaitDelay = stdin.Close, killTime // the other end is told first
	r.cmd.SysProcAttr = ownGroup()
	r.terminal = lend(r.cmd.SysProcAttr)
	err = errors.Join(r.cmd.Start(), w.Close())
	if err != nil {
		r.terminal.takeBack()
		_ = stdin.Close() // Start may have done so
		return errors.Join(err, stdout.Close())
	}
	return nil
}

// watch waits for the command. What it has left behind does not hold the recording up.
func (r *Recorder) watch() {
	r.status = r.cmd.Wait()
	close(r.exited)
	select {
	case <-r.ended:
	case <-time.After(killTime):
		r.kill()
	}
}

// read copies the recording, and makes sure that it is one, and whole.
func (r *Recorder) read() error {
	in := io.TeeReader(&bounded{r.stdout, maxRecording}, r.file)
	rd, err := recording.NewReader(in)
	if err != nil {
		return err
	}
	r.terminal.takeBack() // ssh has what it wanted to know
	close(r.ready)
	for {
		_, err := rd.Next()
		switch {
		case rd.Complete() && (errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed)):
			return nil
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
}

// bounded is a reader of so many bytes, after which it fails.
type bounded struct {
	from io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("its recording is larger than %d MiB", maxRecording>>20)
	}
	n, err := b.from.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// Ready waits until the other host records.
func (r *Recorder) Ready(ctx context.Context) error {
	select {
	case <-r.ready:
		return nil
	case <-r.ended:
		return r.failure(r.end(killTime))
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("%w: it did not begin in time %s", ErrRefused, r.said.String())
		}
		return ctx.Err()
	}
}

// Finish ends the recording and waits for the rest of it.
func (r *Recorder) Finish() error {
	if err := r.end(finishTime); err != nil {
		return r.failure(err)
	}
	return nil
}

// Abort ends the recording, whose content does not matter any more.
func (r *Recorder) Abort() {
	_ = r.end(killTime) // and neither does what became of it
}

// end tells the command to end, kills it if it does not within the limit, and returns
// what went wrong first.
func (r *Recorder) end(limit time.Duration) error {
	_ = r.stdin.Close() // fails if it was closed before
	killed := make(chan struct{})
	late := time.AfterFunc(limit, func() {
		defer close(killed)
		r.kill()
	})
	<-r.ended
	_ = r.stdout.Close() // nothing more is read: who writes on is told
	<-r.exited
	if !late.Stop() {
		<-killed
	}
	r.endGroup() // the command may have ended by itself, and left others
	var exit *exec.ExitError
	closed := errors.Is(r.err, os.ErrClosed) // by us: somebody held on to it
	switch {
	case r.err != nil && !ofItsEnd(r.err) && !closed:
		return r.err
	case errors.As(r.status, &exit) && exit.Exited() && exit.ExitCode() != 128+int(syscall.SIGPIPE):
		return exit // it knows better than its output does
	case r.err != nil && (r.killed.Load() && !errors.Is(r.err, recording.ErrForeign) || closed):
		return errLate
	}
	return r.err
}

// ofItsEnd reports whether the output of a command is like that because the command
// has ended.
func ofItsEnd(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, recording.ErrForeign)
}

// kill ends the command and all that it has started, and what holds on to its output.
func (r *Recorder) kill() {
	r.killed.Store(true)
	r.endGroup()
	_ = r.stdout.Close()
}

// endGroup ends all processes of the command's group that are left.
func (r *Recorder) endGroup() {
	endGroup(r.cmd.Process)
}

// failure says why there is no recording, in the words of who knows.
func (r *Recorder) failure(err error) error {
	var exit *exec.ExitError
	text := r.said.String()
	kind := refusal(text)
	if errors.As(err, &exit) {
		switch exit.ExitCode() {
		case 126, 127: // of shells
			kind = ErrNoProgram
		case 255: // ssh's own
			kind = ErrConnect
		}
		if text != "" {
			return fmt.Errorf("%w: %s", kind, text)
		}
	}
	if text != "" {
		return fmt.Errorf("%w: %w: %s", kind, err, text)
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
