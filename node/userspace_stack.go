package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/internal/device"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/internal/say"
	"github.com/wgnode/wgnode/node/internal/services"
	"github.com/wgnode/wgnode/node/internal/task"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// ErrNeedsStack is what services are refused with where the tunnel ends in a
// network interface: there the system routes, and others serve.
var ErrNeedsStack = services.ErrNeedsStack

// userspaceStack is the mode whose tunnel ends in a network stack of this process.
type userspaceStack struct {
	denied   error         // why this host has no interface; nil: it was to have none
	net      *netstack.Net // nil: not started
	services *services.Services
}

func (*userspaceStack) traits() traits { return traits{netstack: true, file: true} }

// start has no steps. The journal names the process, for [teardown.Down].
func (m *userspaceStack) start(_ context.Context, n *Node) error {
	m.skip(n)
	var addrs []netip.Addr
	for _, p := range n.Config().Interface.Addresses {
		addrs = append(addrs, p.Addr())
	}
	mtu := n.Config().Interface.MTU
	if mtu == 0 {
		mtu = device.DefaultMTU
	}
	j, err := plan.CreateJournal(rundir.Journal(n.opt.RunDir, n.name), n.name, n.Config().Path)
	if err != nil {
		return err
	}
	n.journal = j
	dev, stack, err := netstack.New(addrs, mtu)
	if err != nil {
		return err
	}
	m.net = stack
	if err := n.newTunnel(dev, nil); err != nil {
		return err
	}
	m.services = services.New(services.Tunnel{Name: n.name, Stack: stack, Device: n.tun, Config: n.Config, Extra: n.opt.Services,
		Log: n.log()})
	if err := n.serveUAPI(nil); err != nil {
		return err
	}
	if err := n.configure(markAllowed(n.Config(), n.opt.Out)); err != nil {
		return err
	}
	return m.services.Serve(n.Config(), n.say)
}

func (m *userspaceStack) tasks(*Node) []task.Task { return []task.Task{m.services} }

func (m *userspaceStack) configTasks(n *Node, f *endpoint.Follower) []task.Task {
	return []task.Task{n.watchNetwork(f)}
}

// reload changes the peers and the services. Its addresses are those
// of a network stack that cannot change them.
func (m *userspaceStack) reload(_ context.Context, r *reload) error {
	if err := CheckStack(r.cfg); err != nil {
		return err
	}
	if !slices.Equal(r.was.Interface.Addresses, r.cfg.Interface.Addresses) || r.was.Interface.MTU != r.cfg.Interface.MTU {
		say.Line(r.out, "[!] not changed: addresses and MTU of a userspace network stack; they count the next time that %s comes up", r.n.name)
	}
	if err := services.Check(r.cfg, r.n.opt.Services, true); err != nil {
		return err
	}
	if r.check {
		m.services.Pending(r.cfg, r.out)
		return r.finish(r.device(markAllowed(r.cfg, r.out)))
	}
	tell := func(format string, args ...any) { say.Line(r.out, format, args...) }
	if err := m.services.Serve(r.cfg, tell); err != nil {
		return err
	}
	if err := r.device(markAllowed(r.cfg, r.out)); err != nil {
		return errors.Join(err, m.services.Serve(r.was, tell))
	}
	return r.finish(nil)
}

func (m *userspaceStack) subject(n *Node, s *explain.Subject) {
	s.MTU = cmp.Or(n.Config().Interface.MTU, device.DefaultMTU)
	s.Prober, s.Kernel, s.Local = explain.Stack{Net: m.net}, false, n.hasAddress
	s.Router = &diagnose.Router{Allow: m.services.Routes()}
}

func (*userspaceStack) addresses(cfg *config.Config) []netip.Addr { return addressesIn(cfg) }

func (m *userspaceStack) stack() *netstack.Net { return m.net }

func (m *userspaceStack) inside() (*netstack.Net, error) { return m.services.Inside(), nil }

func (m *userspaceStack) close() {
	if m.services != nil { // it was started
		m.services.Close()
	}
}

// addressesIn are the addresses of a configuration.
func addressesIn(cfg *config.Config) (own []netip.Addr) {
	for _, p := range cfg.Interface.Addresses {
		own = append(own, p.Addr())
	}
	return own
}

// DialContext connects through the tunnel of a node without an interface, as
// net.Dialer's does. Unlike that of [Node.Net] it refuses at once what no peer is
// allowed.
func (n *Node) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	inside, err := n.mode.inside()
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return inside.DialContext(ctx, network, address)
}
