package node

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/guard"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/internal/address"
	"github.com/wgnode/wgnode/node/internal/drift"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/internal/say"
	"github.com/wgnode/wgnode/node/internal/services"
	"github.com/wgnode/wgnode/node/internal/task"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/sender"
	"github.com/wgnode/wgnode/probe/diagnose/finding"
)

// kernelTUN is the mode whose interface is this host's, set up by the steps of a plan.
type kernelTUN struct{ interfaceOnly }

func (kernelTUN) traits() traits { return traits{onHost: true, hooks: true, file: true} }

func (kernelTUN) start(ctx context.Context, n *Node) error {
	steps, err := n.plan()
	if err != nil {
		return err
	}
	j := n.left
	var before plan.Process // the guardian of a dead node
	if j != nil {
		before = j.Guard
		err = j.TakeOver(n.Config().Path)
	} else {
		j, err = plan.CreateJournal(rundir.Journal(n.opt.RunDir, n.name), n.name, n.Config().Path)
	}
	if err != nil {
		return err
	}
	if len(n.Config().Interface.PreUp) > 0 {
		n.runner.Replan = func(ctx context.Context) (again []plan.Step, err error) {
			if again, err = n.planAgain(ctx, j); err == nil {
				steps = again
			}
			return again, err
		}
	}
	if err := errors.Join(n.guardian.Hire(n.name, j, guard.KillSwitchOf(steps)), guard.End(before)); err != nil {
		return errors.Join(err, n.runner.UndoExcept(ctx, j, plan.OpKillSwitch))
	}
	if err := n.runner.Apply(ctx, steps, j); err != nil {
		return err // undone, and the journal is gone or holds what stays
	}
	n.journal = j
	n.adopt(steps)
	if err := n.guardian.Instruct(n.killSwitch); err != nil {
		return err
	}
	return n.applied.AcceptHooks(ctx, n.runner.Kernel, n.Config())
}

// adopt takes note of what steps that were done set.
func (n *Node) adopt(steps []plan.Step) {
	n.applied.Set(link.Link{Name: n.name, Index: n.journal.LinkIndex}, steps)
	n.killSwitch, n.mtu.Given = guard.KillSwitchOf(steps), 0
	if n.Config().Interface.MTU != 0 {
		return
	}
	for _, s := range steps {
		if s.Op == plan.OpUp {
			n.mtu.Given = s.MTU
		}
	}
}

func (kernelTUN) tasks(n *Node) []task.Task { return []task.Task{n.guard} }

func (kernelTUN) configTasks(n *Node, f *endpoint.Follower) []task.Task {
	log := n.log()
	tasks := []task.Task{n.watchNetwork(f), drift.Watch{Applied: &n.applied, Kernel: n.runner.Kernel, Tables: n.tables,
		Culprit: n.guard.Culprit, Link: n.name, Log: log}}
	if n.guardian.Running() {
		tasks = append(tasks, guard.Keep{Guardian: &n.guardian, Link: n.name, Journal: n.journal, KillSwitch: n.killSwitch, Log: log})
	}
	if n.killSwitch != nil && n.killSwitch.AllowLAN {
		tasks = append(tasks, &guard.LAN{Link: n.name, Have: *n.killSwitch, Tables: n.tables, Guardian: &n.guardian, Log: log})
	}
	return tasks
}

// reload changes the host, and the device with it.
func (kernelTUN) reload(ctx context.Context, r *reload) error {
	n := r.n
	if err := services.Check(r.cfg, n.opt.Services, false); err != nil {
		return err
	}
	before, err := n.tun.Status()
	if err != nil {
		return err
	}
	r.before = before
	if r.hooked, err = r.hookedIn(before); err != nil {
		return err
	}
	cfg := r.hooked.with(r.cfg)
	state, err := plan.Gather(cfg, r.hooked.endpoints(r.endpoints), n.journal.Mark())
	if err != nil {
		return err
	}
	state.Except(n.journal.Steps)
	state.OnLink = r.hooked.addrs
	steps, err := plan.Build(cfg, state)
	if err != nil {
		return err
	}
	for _, w := range plan.Warnings(cfg, state) {
		say.Line(r.out, "[!] %s", w)
	}
	for _, p := range []hook.Phase{hook.PreUp, hook.PostUp} {
		if !slices.Equal(plan.Hooks(r.was, p), plan.Hooks(r.cfg, p)) {
			say.Line(r.out, "[!] not run: %s has changed; it counts the next time that %s comes up", p, n.name)
		}
	}
	if r.check {
		return r.finish(r.pending(ctx, steps))
	}
	if err := n.guardian.Hire(n.name, n.journal, guard.KillSwitchOf(steps)); err != nil {
		return err
	}
	if n.killSwitch != nil && guard.KillSwitchOf(steps) == nil {
		n.guardian.Doubt(*n.killSwitch) // from now on it may be gone
	}
	runner := n.runner
	runner.Device, runner.Out = r, r.out
	if err := runner.Change(ctx, steps, n.journal); err != nil {
		return errors.Join(err, r.restore(before), n.guardian.Instruct(n.killSwitch))
	}
	if err := r.finish(nil); err != nil {
		return err
	}
	n.adopt(steps)
	n.hooked = r.hooked
	if err := n.guardian.Instruct(n.killSwitch); err != nil {
		return err
	}
	return n.journal.SetConfig(r.cfg.Path)
}

func (kernelTUN) subject(n *Node, s *explain.Subject) {
	s.Changed = func(ctx context.Context) ([]finding.Changed, error) {
		return n.applied.Changed(ctx, n.runner.Kernel, n.guard.Culprit)
	}
	n.subjectOnHost(s)
}

func (kernelTUN) addresses(*config.Config) []netip.Addr { return address.OfHost() }

// subjectOnHost completes the subject of a node whose interface is this host's.
func (n *Node) subjectOnHost(s *explain.Subject) {
	if n.opt.Sender != nil {
		s.As = func(pid int) (explain.Prober, error) {
			p, err := sender.Of(pid)
			if err != nil {
				return nil, err
			}
			return explain.As{Process: p, Command: n.opt.Sender}, nil
		}
	}
	if l, err := link.ByName(n.name); err == nil { // else it is about to end
		s.MTU = l.MTU
	}
}
