package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"slices"
	"sync"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/node/guard"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/internal/netwatch"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/services"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/lookup"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/route"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/teardown"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

// Start brings a node up, all or nothing: if anything fails, or ctx ends
// meanwhile, what was done is undone and the error says why. ctx does not bound
// the node's life after that.
//
// What the host cannot do is refused before anything is changed. An endpoint whose
// name does not resolve is no failure: see [Node.Endpoint]. If a killed process
// has left the interface's journal behind, that is undone first, but for a kill
// switch if cfg has one too: it stands until it is replaced, and if Start fails
// it still stands.
func Start(ctx context.Context, cfg *config.Config, o Options) (*Node, error) {
	if !cfg.Resolved() {
		return nil, fmt.Errorf("%s: its keys or peers in other places were not read", cfg.Path)
	}
	if !config.ValidName(cfg.Name) {
		return nil, fmt.Errorf("%q is not the name of an interface", cfg.Name)
	}
	if err := errors.Join(checkPeers(cfg), checkFiles()); err != nil {
		return nil, err
	}
	denied, err := checkRights(cfg, &o)
	if err != nil {
		return nil, err
	}
	if o.Netstack {
		if err := CheckStack(cfg); err != nil {
			return nil, err
		}
	}
	if err := services.Check(cfg, o.Services, o.Netstack); err != nil {
		return nil, err
	}
	n := newNode(cfg, o, modeOf(&o, denied))
	if err := n.checkTelemetry(cfg); err != nil {
		return nil, err
	}
	for _, w := range slices.Concat(cfg.Warnings(), cfg.Missing(), o.Services.Warnings()) {
		n.say("Warning: %s", w)
	}
	if cfg.Interface.KillSwitch {
		n.standing = standingMark(rundir.Journal(n.opt.RunDir, n.name))
	}
	n.endpoints.Load().Resolve(ctx, n.say)
	if err := n.up(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func newNode(cfg *config.Config, o Options, m mode) *Node {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.RunDir == "" {
		o.RunDir = rundir.Default()
	}
	released := make(chan struct{})
	n := &Node{
		released: released, release: sync.OnceFunc(func() { close(released) }),
		reloads: make(chan reloadRequest), ended: make(chan struct{}),
		telemetry: newTelemetry(),
		name:      cfg.Name, opt: o, mode: m,
		tables: &nftables.Keeper{Open: o.OpenTables},
		runner: plan.Runner{Shell: o.Shell, Out: o.Out, Explain: o.Explain},
	}
	n.runner.Shell.Config = cfg.Path
	n.cfg.Store(cfg)
	n.runner.Leave = n.applied.IsHooks
	n.guardian.Command, n.guardian.Open = o.Guardian, o.OpenTables
	n.mtu.Counts = func(k key.Public) bool { return n.endpoints.Load().Of(k).IsValid() || n.hooked.called(k) }
	n.mtu.Changed = n.applied.SetMTU
	n.guard = guard.NewTables(n.tables, n.name, n.log(), func(c probe.NetworkChange) { n.tun.NetworkChanged(c) })
	n.runner.Kernel, n.runner.Device = plan.System{Tables: n.tables}, kernelDevice{n}
	n.keeper = explain.NewKeeper(n.Subject, func(context.Context) {}) // its events come at once
	n.names = lookup.New(n.serversInside(cfg), n.mark, n.around)
	n.endpoints.Store(endpoint.New(cfg, n.lookUp))
	return n
}

// serversInside returns the name servers that the tunnel has the system ask.
func (n *Node) serversInside(cfg *config.Config) []netip.Addr {
	if !n.mode.traits().onHost {
		return nil
	}
	return cfg.Interface.DNS
}

// lookUp resolves a name. As long as there is no tunnel, nothing is in the way
// of asking the system, but for a kill switch that a dead node has left.
func (n *Node) lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	if n.tun == nil && n.standing == 0 {
		return lookup.System(ctx, host)
	}
	return n.names.Lookup(ctx, host)
}

// mark is that of the encrypted packets, 0 for none.
func (n *Node) mark() uint32 {
	if n.tun == nil {
		return n.standing
	}
	return n.tun.FwMark()
}

// around is the interface that what the node sends for itself to an address is bound
// to, so that it does not enter the tunnel, "" for any. Whatever routes lead there
// are the tunnel's, it could not come up by them.
func (n *Node) around(a netip.Addr) string {
	if n.tun == nil || !n.mode.traits().onHost {
		return ""
	}
	device, err := bypassLink(a, n.mark(), n.name)
	if err != nil {
		n.opt.Logger.Error("cannot find a route around the tunnel", "interface", n.name, "address", a, "error", err)
	}
	return device
}

// standingMark returns the mark that the kill switch of a dead node lets pass,
// 0 if there is none. Whether the journal can be read is for [Node.up] to say.
func standingMark(journal string) uint32 {
	j, err := plan.OpenJournal(journal)
	if err != nil || !slices.ContainsFunc(j.Steps, func(s plan.Step) bool { return s.Op == plan.OpKillSwitch }) {
		return 0
	}
	return j.Mark()
}

// up does all that Close undoes.
func (n *Node) up(ctx context.Context) error {
	unlock, err := rundir.Lock(n.opt.RunDir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := n.recover(ctx); err != nil {
		return err
	}
	n.names.Refresh() // that may have brought some back
	if err := n.mode.start(ctx, n); err != nil {
		return err
	}
	if n.began, err = netwatch.Picture(n.tun, n.mark()); err != nil {
		n.opt.Logger.Error("cannot read network state", "interface", n.name, "error", err)
	}
	if err := n.listenControl(); err != nil {
		return err
	}
	if n.metrics, err = exporter.Open(n.metricsAt(n.Config()), n.exported()); err != nil {
		return err
	}
	n.openHistory()
	if ctx.Err() != nil {
		return fmt.Errorf("bring %s up: %w", n.name, context.Cause(ctx))
	}
	n.keepKillSwitch = false
	return nil
}

// UpError says that a node of the name runs.
type UpError struct {
	Name string
	PID  int
}

func (e *UpError) Error() string { return fmt.Sprintf("%s is already up (pid %d)", e.Name, e.PID) }

// recover undoes what a node of this name that was killed has left behind.
func (n *Node) recover(ctx context.Context) error {
	j, err := plan.OpenJournal(rundir.Journal(n.opt.RunDir, n.name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	alive, err := j.Process.Alive()
	if err != nil {
		return err
	}
	if alive {
		return &UpError{n.name, j.Process.PID}
	}
	if n.mode.traits().elsewhere && slices.ContainsFunc(j.Steps, func(s plan.Step) bool { return s.Op == plan.OpKillSwitch }) {
		return fmt.Errorf("the process that served %s was killed, and its kill switch stands: `wgnode recover %s' removes it", n.name, n.name)
	}
	n.say("[!] the process that served %s was killed; first its remains are removed", n.name)
	o := teardown.Options{RunDir: n.opt.RunDir, Shell: n.opt.Shell, Out: n.opt.Out}
	if !n.Config().Interface.KillSwitch || !n.mode.traits().onHost {
		return teardown.UndoDead(ctx, j, o, "")
	}
	if err := teardown.UndoDead(ctx, j, o, plan.OpKillSwitch); err != nil {
		return err
	}
	if len(j.Steps) > 0 {
		n.left, n.keepKillSwitch = j, true
		n.say("[!] its kill switch stands until that of this configuration replaces it")
	}
	return nil
}

// Plan returns the steps that Start would do on this host as it is now. It
// changes nothing. What a dead node of the name has left behind is taken for
// what it is, in the way.
func Plan(ctx context.Context, cfg *config.Config, o Options) ([]plan.Step, error) {
	if err := checkPeers(cfg); err != nil {
		return nil, err
	}
	if err := services.Check(cfg, o.Services, o.Netstack); err != nil {
		return nil, err
	}
	n := newNode(cfg, o, modeOf(&o, nil))
	for _, w := range slices.Concat(cfg.Warnings(), cfg.Missing()) {
		n.say("Warning: %s", w)
	}
	n.endpoints.Load().Resolve(ctx, n.say)
	steps, err := n.plan()
	if err != nil {
		return nil, err
	}
	return steps, n.inTheWay(steps)
}

// inTheWay looks for routes that steps cannot add, because there is one to the same
// prefix. A PreUp may yet take it away, so it is only said then.
func (n *Node) inTheWay(steps []plan.Step) error {
	var errs []error
	for _, s := range steps {
		if (s.Op == plan.OpRoute || s.Op == plan.OpThrow) && s.Skip == "" {
			errs = append(errs, route.InTheWay(link.Link{Name: s.Link}, s.Prefix, s.Table))
		}
	}
	err := errors.Join(errs...)
	if err != nil && len(n.Config().Interface.PreUp) > 0 {
		n.say("[!] unless a PreUp changes that: %v", err)
		return nil
	}
	return err
}

func (n *Node) plan() ([]plan.Step, error) {
	host, err := plan.Gather(n.Config(), n.endpoints.Load().Addrs(), 0)
	if err != nil {
		return nil, err
	}
	steps, err := plan.Build(n.Config(), host)
	if err != nil {
		return nil, err
	}
	for _, w := range slices.Concat(plan.Warnings(n.Config(), host), plan.Changed(n.Config(), host)) {
		n.say("[!] %s", w)
	}
	return steps, nil
}
