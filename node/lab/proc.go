//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/probe/patience"
)

// Proc is a program running in a host. All methods but WaitOutput and Stop may
// be used from any goroutine.
type Proc struct {
	host *Host
	cmd  *Cmd
	out  output
	done chan struct{}
	err  error // how it ended; valid once done is closed
}

// Start starts a program in the host and returns at once. Its output is
// collected, and logged if the test fails. It is killed when the lab is torn
// down.
func (h *Host) Start(args ...string) *Proc {
	h.t.Helper()
	return h.StartEnv(nil, args...)
}

// StartEnv is [Host.Start] with environment entries ("KEY=value") added to
// those of the test.
func (h *Host) StartEnv(env []string, args ...string) *Proc {
	h.t.Helper()
	p := &Proc{host: h, cmd: h.Command(context.Background(), args...), done: make(chan struct{})}
	p.out.changed = make(chan struct{})
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	// Do not wait for daemons that hold on to its output.
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		h.t.Fatalf("%s: start %s: %v", h.name, strings.Join(args, " "), err)
	}
	go func() {
		if p.err = p.cmd.Wait(); errors.Is(p.err, exec.ErrWaitDelay) {
			p.err = nil
		}
		close(p.done)
	}()
	h.lab.mu.Lock()
	h.lab.procs = append(h.lab.procs, p)
	h.lab.mu.Unlock()
	return p
}

// String names the program and its host, for messages.
func (p *Proc) String() string {
	return fmt.Sprintf("%s: %s", p.host.name, strings.Join(p.cmd.Args, " "))
}

// Pid returns the program's process id on the machine.
func (p *Proc) Pid() int { return p.cmd.Process.Pid }

// Output returns what the program has printed so far, standard output and
// standard error together.
func (p *Proc) Output() string { return p.out.String() }

// Done is closed when the program has ended.
func (p *Proc) Done() <-chan struct{} { return p.done }

// Wait waits for the program's end and returns what [exec.Cmd.Wait] would.
func (p *Proc) Wait() error {
	<-p.done
	return p.err
}

// Signal sends a signal to the program.
func (p *Proc) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Stop asks the program to end, with SIGTERM, and waits until it did. A
// program that does not end is killed and fails the test;
// one that had ended before does not. How it ended is Wait's to say.
func (p *Proc) Stop() {
	p.host.t.Helper()
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.host.t.Errorf("stop %s: %v", p, err)
	}
	limit := patience.Limit()
	select {
	case <-p.done:
	case <-time.After(limit):
		// It can only fail because the program has just ended after all.
		_ = p.cmd.Process.Kill()
		<-p.done
		p.host.t.Errorf("%s: did not end within %v of SIGTERM", p, limit)
	}
}

// WaitOutput waits until the program has printed substr. It ends the test when
// ctx is done or the program ends first.
func (p *Proc) WaitOutput(ctx context.Context, substr string) {
	p.host.t.Helper()
	ended := false
	for {
		changed := p.out.next()
		out := p.Output()
		if strings.Contains(out, substr) {
			return
		}
		if ended {
			p.host.t.Fatalf("%s: ended (%v) without printing %q; output:\n%s", p, p.err, substr, out)
		}
		select {
		case <-changed:
		case <-p.done:
			ended = true // its last words may have come since we looked
		case <-ctx.Done():
			p.host.t.Fatalf("%s: wait for %q: %v; output:\n%s", p, substr, ctx.Err(), out)
		}
	}
}

// output collects what a program prints and wakes those who wait for more.
type output struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{} // closed and replaced when text has grown
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// next returns a channel that is closed when there is more output than now.
func (o *output) next() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.changed
}
