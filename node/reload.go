package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/node/guard"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/internal/say"
	"github.com/wgnode/wgnode/node/internal/services"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// Reload makes of the node, which must run, what it would be if it had been
// started with cfg, and changes only what differs: addresses, routes, MTU,
// resolver and firewall of the host, and the device's peers. The sessions of
// peers that stay go on, and a peer that has moved keeps its endpoint unless cfg
// has another one for it than before. Hooks are not run, and what they or others
// have set stays where neither cfg nor the configuration before states it: keys, a
// port, a mark, peers, AllowedIPs. It is all or nothing: if something fails, what
// was changed is changed back, and the error says what failed.
//
// out gets a line for each change. Reloads wait for each other.
func (n *Node) Reload(ctx context.Context, cfg *config.Config, out io.Writer) error {
	return n.reloadWith(reloadRequest{ctx: ctx, cfg: cfg, out: out})
}

func (n *Node) reloadWith(req reloadRequest) error {
	req.done = make(chan error, 1)
	select {
	case n.reloads <- req:
		return <-req.done
	case <-n.ended:
		return fmt.Errorf("reload %s: %w", n.name, rundir.ErrNotRunning)
	case <-req.ctx.Done():
		return fmt.Errorf("reload %s: %w", n.name, context.Cause(req.ctx))
	}
}

// ReloadFile is Reload with what a file says by now: the one that the node has
// its configuration from, or the one at path if that is not "".
func (n *Node) ReloadFile(ctx context.Context, path string, out io.Writer) error {
	_, err := n.reloadFile(ctx, path, out, false)
	return err
}

// reload is Reload, while no task runs that depends on the configuration.
func (n *Node) reload(req reloadRequest) error {
	cfg, out := req.cfg, req.out
	switch {
	case n.bare:
		return fmt.Errorf("reload %s: it was not made from a configuration", n.name)
	case cfg.Name != n.name:
		return fmt.Errorf("reload %s: the configuration is for %s", n.name, cfg.Name)
	case !cfg.Resolved():
		return fmt.Errorf("%s: its keys or peers in other places were not read", cfg.Path)
	}
	if err := n.checkTelemetry(cfg); err != nil {
		return err
	}
	for _, w := range cfg.Warnings() {
		say.Line(out, "Warning: %s", w)
	}
	r := reload{n: n, was: n.Config(), cfg: cfg, endpoints: endpoint.New(cfg, n.lookUp), out: out, check: req.check}
	r.endpoints.Inherit(n.endpoints.Load())
	r.endpoints.Resolve(req.ctx, func(format string, args ...any) { say.Line(out, format, args...) })
	return r.withMetrics(func() error {
		switch {
		case n.net != nil:
			return r.stack()
		case n.link != nil:
			return r.elsewhere()
		}
		return r.host(req.ctx)
	})
}

// reload is one run of Reload.
type reload struct {
	n         *Node
	was, cfg  *config.Config
	endpoints *endpoint.Set
	out       io.Writer
	check     bool         // nothing is to change
	before    *uapi.Status // what the device said as the reload began; nil: it was not asked
	hooked    hooked       // what the plan has to follow besides cfg
	left      []string     // what the device has that neither file states
}

// withMetrics opens the listener of health and metrics that cfg wants, if it is
// another one, before change, and closes the one that is not wanted in the end. Who may ask is read
// again in any case: certificates are renewed.
func (r *reload) withMetrics(change func() error) error {
	n := r.n
	at := n.metricsAt(r.cfg)
	if at.Listen == n.metrics.At() || r.check {
		admit, err := n.metrics.Change(at)
		if err != nil {
			return fmt.Errorf("reload %s: %w", n.name, err)
		}
		if err := change(); err != nil || r.check {
			return err
		}
		admit()
		return nil
	}
	to, err := exporter.Listen(at)
	if err != nil {
		return fmt.Errorf("reload %s: %w", n.name, err)
	}
	if err := change(); err != nil {
		return errors.Join(err, to.Close())
	}
	n.metrics.Move(to)
	return nil
}

// stack changes a node without an interface: its peers. Its addresses are those
// of a network stack that cannot change them.
func (r *reload) stack() error {
	if err := CheckStack(r.cfg); err != nil {
		return err
	}
	if !slices.Equal(r.was.Interface.Addresses, r.cfg.Interface.Addresses) || r.was.Interface.MTU != r.cfg.Interface.MTU {
		say.Line(r.out, "[!] not changed: addresses and MTU of a userspace network stack; they count the next time that %s comes up", r.n.name)
	}
	if err := services.Check(r.cfg, r.n.opt.Services, r.n.opt.Netstack); err != nil {
		return err
	}
	if r.check {
		r.n.services.Pending(r.cfg, r.out)
		return r.finish(r.device(markAllowed(r.cfg, r.out)))
	}
	tell := func(format string, args ...any) { say.Line(r.out, format, args...) }
	if err := r.n.services.Serve(r.cfg, tell); err != nil {
		return err
	}
	if err := r.device(markAllowed(r.cfg, r.out)); err != nil {
		return errors.Join(err, r.n.services.Serve(r.was, tell))
	}
	return r.finish(nil)
}

// elsewhere changes a node whose interface is not this host's: its peers.
func (r *reload) elsewhere() error {
	was, now := &r.was.Interface, &r.cfg.Interface
	routes := func(c *config.Config) (all []netip.Prefix) {
		for _, p := range c.AllowedRoutes() {
			all = append(all, p.Prefix)
		}
		return all
	}
	if !slices.Equal(was.Addresses, now.Addresses) || was.MTU != now.MTU || !slices.Equal(was.DNS, now.DNS) ||
		!slices.Equal(routes(r.was), routes(r.cfg)) {
		say.Line(r.out, "[!] not changed: addresses, MTU, routes and DNS of an interface that is not this host's; they count the "+
			"next time that %s comes up", r.n.name)
	}
	return r.finish(r.device(r.n.mark()))
}

// host changes the host, and the device with it.
func (r *reload) host(ctx context.Context) error {
	n := r.n
	if err := services.Check(r.cfg, n.opt.Services, n.opt.Netstack); err != nil {
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

// finish makes the new configuration the node's, unless err is why not, or it was a check.
func (r *reload) finish(err error) error {
	if err != nil {
		return err
	}
	for _, what := range r.left {
		say.Line(r.out, "[!] left as it is, because the file does not state it: %s", what)
	}
	if !r.check {
		r.adopt()
	}
	return nil
}

func (r *reload) adopt() {
	r.n.cfg.Store(r.cfg)
	r.n.retell()
	r.n.endpoints.Store(r.endpoints)
	r.n.names.Avoid(r.n.serversInside(r.cfg))
}
