package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/internal/say"
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
func (n *Node) reload(req reloadRequest) (err error) {
	cfg, out := req.cfg, req.out
	if !req.check {
		defer func() { n.tellReload(err) }()
	}
	switch {
	case !n.mode.traits().file:
		return fmt.Errorf("reload %s: %w", n.name, errNoConfig)
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
	return r.withMetrics(func() error { return n.mode.reload(req.ctx, &r) })
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

// reloadFile is ReloadFile; with check it says what that would do, in the same lines, and
// changes nothing. It reports whether anything has changed, or would, be it only what counts
// when the node goes down, or comes up again.
func (n *Node) reloadFile(ctx context.Context, path string, out io.Writer, check bool) (changes bool, err error) {
	if path == "" {
		path = n.Config().Path
	}
	if path == "" {
		return false, fmt.Errorf("reload %s: it was not started with a file", n.name)
	}
	cfg, err := config.Load(path)
	if err != nil {
		return false, err
	}
	was := n.Config()
	done := &doneLines{to: out}
	err = n.reloadWith(reloadRequest{ctx: ctx, cfg: cfg, out: done, check: check})
	return err == nil && (done.any || was.Path != cfg.Path || !was.Same(cfg)), err
}

// doneLines passes lines on, and notes whether one of them is about something that is done.
type doneLines struct {
	to  io.Writer
	any bool
}

func (d *doneLines) Write(b []byte) (int, error) {
	d.any = d.any || bytes.HasPrefix(b, []byte("[#] "))
	return d.to.Write(b)
}

// pending is host for a check: what the host and the device would become.
func (r *reload) pending(ctx context.Context, steps []plan.Step) error {
	runner := r.n.runner
	runner.Device, runner.Out = r, r.out
	return runner.Pending(ctx, steps, r.n.journal)
}
