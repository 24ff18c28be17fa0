package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/internal/burst"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/plan"
)

// A guardian is a process that guards the kill switch when the node has died. It
// sleeps until then, at the other end of a pipe: the kernel closes that whatever
// becomes of the node. It is known by the journal, so whoever undoes what the
// node has left, or takes it over, ends it.

// guardianMessage is one line of JSON in the pipe.
type guardianMessage struct {
	KillSwitch nftables.KillSwitch `json:"kill_switch"`
	// Up says that the kill switch is there. Until then, and while the node takes
	// it down, a guardian looks whether it is.
	Up bool `json:"up,omitempty"`
	// Open is as [nftables.Keeper] has it.
	Open bool `json:"open,omitempty"`
	// End ends the guardian.
	End bool `json:"end,omitempty"`
}

// guardian is the node's side. Its methods are safe for concurrent use.
type guardian struct {
	command func(link string) *exec.Cmd // nil: there is to be none
	open    bool                        // see guardianMessage

	mu   sync.Mutex
	pipe io.WriteCloser // nil: none runs
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start starts the process, which does nothing until it is told something.
func (g *guardian) start(link string) (plan.Process, error) {
	cmd := g.command(link)
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Setsid: true}
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

func (g *guardian) running() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pipe != nil
}

// tell tells the guardian, if there is one, what to guard. One that has died
// hears nothing; guardianTask starts another.
func (g *guardian) tell(m guardianMessage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.Open = g.open
	if g.pipe != nil {
		_ = json.NewEncoder(g.pipe).Encode(m)
	}
}

// ended is closed when the process has ended; nil if there is none.
func (g *guardian) ended() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.done
}

// release leaves the kill switch to the guardian.
func (g *guardian) release() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pipe == nil {
		return nil
	}
	err := g.pipe.Close()
	g.pipe, g.cmd, g.done = nil, nil, nil
	return err
}

// end ends the guardian, if there is one.
func (g *guardian) end() error {
	g.tell(guardianMessage{End: true})
	g.mu.Lock()
	cmd, done := g.cmd, g.done
	g.mu.Unlock()
	err := g.release()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return err
	case <-time.After(endTime): // it hangs
		return errors.Join(err, cmd.Process.Kill())
	}
}

// hire starts the guardian of a kill switch that is about to be set, if there is
// to be one. The journal knows it before it is told anything.
func (n *Node) hire(j *plan.Journal, k *nftables.KillSwitch) error {
	if n.guardian.command == nil || k == nil || n.guardian.running() {
		return nil
	}
	p, err := n.guardian.start(n.name)
	if err != nil {
		return err
	}
	if err := j.SetGuard(p); err != nil {
		return errors.Join(err, n.guardian.end())
	}
	n.guardian.tell(guardianMessage{KillSwitch: *k})
	return nil
}

// instruct tells the guardian of the kill switch that is set now; without one it
// may go.
func (n *Node) instruct() error {
	if n.killSwitch == nil {
		return n.guardian.end()
	}
	n.guardian.tell(guardianMessage{KillSwitch: *n.killSwitch, Up: true})
	return nil
}

// guardianTask starts another guardian when one has died.
type guardianTask struct{ n *Node }

func (guardianTask) String() string { return "keep a guardian" }

func (t guardianTask) Run(ctx context.Context) error {
	log := t.n.opt.Logger.With("interface", t.n.name)
	var again <-chan time.Time // to try once more what has failed
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.n.guardian.ended():
			log.Warn("the guardian of the kill switch has died; another one is started")
		case <-again:
		}
		burst.Pause(ctx, burst.Settle) // one that dies at once must not make a busy loop
		if ctx.Err() != nil {
			return nil
		}
		again = nil
		if err := t.n.hireAgain(); err != nil {
			log.Error("if this node dies, its kill switch is not guarded", "error", err)
			again = time.After(guardQuiet)
		}
	}
}

func (n *Node) hireAgain() error {
	if err := n.guardian.release(); err != nil {
		return err
	}
	if err := n.hire(n.journal, n.killSwitch); err != nil {
		return err
	}
	return n.instruct()
}

// endGuardian ends the guardian of a dead node.
func endGuardian(p plan.Process) error {
	if p == (plan.Process{}) {
		return nil
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", p.PID, err)
	}
	// The descriptor stands for one process, whoever gets its number later.
	there, err := p.Remains()
	if err == nil && there {
		if err = unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0); errors.Is(err, unix.ESRCH) {
			err = nil
		}
		if err == nil {
			err = awaitEnd(fd, p.PID)
		}
	}
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return fmt.Errorf("end the guardian of the kill switch: %w", err)
	}
	return nil
}
