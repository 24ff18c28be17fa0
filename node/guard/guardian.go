package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/internal/burst"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/process"
	"github.com/wgnode/wgnode/node/plan"
)

// message is one line of JSON in the pipe.
type message struct {
	KillSwitch nftables.KillSwitch `json:"kill_switch"`
	// Up says that the kill switch is there. Until then, and while the node takes
	// it down, a guardian looks whether it is.
	Up bool `json:"up,omitempty"`
	// Open is as [nftables.Keeper] has it.
	Open bool `json:"open,omitempty"`
	// End ends the guardian.
	End bool `json:"end,omitempty"`
}

// Guardian is the node's side. Its methods are safe for concurrent use.
type Guardian struct {
	// Command returns a command that runs [Run] on its standard input. Nil: there is to be none.
	Command func(link string) *exec.Cmd
	// Open is as [nftables.Keeper] has it.
	Open bool

	mu   sync.Mutex
	pipe io.WriteCloser // nil: none runs
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start starts the process, which does nothing until it is told something.
func (g *Guardian) start(link string) (plan.Process, error) {
	cmd := g.Command(link)
	cmd.Dir, cmd.SysProcAttr = "/", process.Detached()
	// Not StdinPipe: Wait would close that.
	end, pipe, err := os.Pipe()
	if err == nil {
		cmd.Stdin = end
		if err = errors.Join(cmd.Start(), end.Close()); err != nil {
			err = errors.Join(err, pipe.Close())
		}
	}
	if err != nil {
		return plan.Process{}, fmt.Errorf("start the guardian of the kill switch: %w", err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended makes no difference
		close(done)
	}()
	p, err := plan.ProcessOf(cmd.Process.Pid)
	if err != nil {
		return p, errors.Join(err, pipe.Close())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pipe, g.cmd, g.done = pipe, cmd, done
	return p, nil
}

// Running reports whether there is one.
func (g *Guardian) Running() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pipe != nil
}

// tell tells the guardian, if there is one, what to guard. One that has died
// hears nothing; [Keep] starts another.
func (g *Guardian) tell(m message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.Open = g.Open
	if g.pipe != nil {
		_ = json.NewEncoder(g.pipe).Encode(m)
	}
}

// ended is closed when the process has ended; nil if there is none.
func (g *Guardian) ended() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.done
}

// Release leaves the kill switch to the guardian.
func (g *Guardian) Release() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pipe == nil {
		return nil
	}
	err := g.pipe.Close()
	g.pipe, g.cmd, g.done = nil, nil, nil
	return err
}

// End ends the guardian, if there is one.
func (g *Guardian) End() error {
	g.tell(message{End: true})
	g.mu.Lock()
	cmd, done := g.cmd, g.done
	g.mu.Unlock()
	err := g.Release()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return err
	case <-time.After(process.Time): // it hangs
		return errors.Join(err, cmd.Process.Kill())
	}
}

// Hire starts the guardian of a kill switch that is about to be set, if there is
// to be one. The journal knows it before it is told anything.
func (g *Guardian) Hire(link string, j *plan.Journal, k *nftables.KillSwitch) error {
	if g.Command == nil || k == nil || g.Running() {
		return nil
	}
	p, err := g.start(link)
	if err != nil {
		return err
	}
	if err := j.SetGuard(p); err != nil {
		return errors.Join(err, g.End())
	}
	g.Doubt(*k)
	return nil
}

// Doubt tells the guardian that the kill switch may be there, or not yet, or no more: it looks
// before it guards it.
func (g *Guardian) Doubt(k nftables.KillSwitch) { g.tell(message{KillSwitch: k}) }

// Instruct tells the guardian of the kill switch that is set now; without one it
// may go.
func (g *Guardian) Instruct(k *nftables.KillSwitch) error {
	if k == nil {
		return g.End()
	}
	g.tell(message{KillSwitch: *k, Up: true})
	return nil
}

// Keep is what starts another guardian when one has died.
type Keep struct {
	Guardian   *Guardian
	Link       string
	Journal    *plan.Journal
	KillSwitch *nftables.KillSwitch
	Log        *slog.Logger
}

func (Keep) String() string { return "keep a guardian" }

// Run serves until ctx ends.
func (t Keep) Run(ctx context.Context) error {
	var again <-chan time.Time // to try once more what has failed
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.Guardian.ended():
			t.Log.Warn("the guardian of the kill switch has died; another one is started")
		case <-again:
		}
		burst.Pause(ctx, burst.Settle) // one that dies at once must not make a busy loop
		if ctx.Err() != nil {
			return nil
		}
		again = nil
		if err := t.hire(); err != nil {
			t.Log.Error("if this node dies, its kill switch is not guarded", "error", err)
			again = time.After(quiet)
		}
	}
}

func (t Keep) hire() error {
	if err := t.Guardian.Release(); err != nil {
		return err
	}
	if err := t.Guardian.Hire(t.Link, t.Journal, t.KillSwitch); err != nil {
		return err
	}
	return t.Guardian.Instruct(t.KillSwitch)
}

// End ends the guardian of a dead node, as its journal has it.
func End(p plan.Process) error {
	if err := process.Terminate(p); err != nil {
		return fmt.Errorf("end the guardian of the kill switch: %w", err)
	}
	return nil
}
