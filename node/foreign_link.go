package node

import (
	"context"
	"net/netip"
	"os"
	"slices"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/internal/device"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/internal/say"
	"github.com/wgnode/wgnode/node/internal/task"
	"github.com/wgnode/wgnode/node/internal/uplink"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/rundir"
)

// Link is a TUN device that somebody else has made and set up, perhaps in a
// network namespace that this process is not in.
type Link struct {
	TUN    *os.File       // the node owns it
	MTU    int            // bytes; it does not change
	Prober explain.Prober // sends probes where the link is; may be nil
}

// foreignLink is the mode whose interface somebody else has made.
type foreignLink struct {
	interfaceOnly
	make func(ctx context.Context, mtu int) (*Link, error)
	link *Link // nil: not started
}

func (*foreignLink) traits() traits { return traits{elsewhere: true, hooks: true, file: true} }

// start serves a link that is made by [Options.MakeLink]. It has no
// steps. The journal names the process, for [teardown.Down].
func (m *foreignLink) start(ctx context.Context, n *Node) error {
	n.skipElsewhere()
	mtu, err := n.mtuElsewhere()
	if err != nil {
		return err
	}
	j, err := plan.CreateJournal(rundir.Journal(n.opt.RunDir, n.name), n.name, n.Config().Path)
	if err != nil {
		return err
	}
	n.journal = j
	l, err := m.make(ctx, mtu)
	if err != nil {
		return err
	}
	m.link = l
	dev, err := device.OpenElsewhere(l.TUN, l.MTU)
	if err != nil {
		return err
	}
	device.FellBack(dev, n.log())
	if err := n.newTunnel(dev, nil); err != nil {
		return err
	}
	if err := n.serveUAPI(nil); err != nil {
		return err
	}
	return n.configure(markAllowed(n.Config(), n.opt.Out))
}

// mtuElsewhere is the MTU in bytes that the link should have.
func (n *Node) mtuElsewhere() (int, error) {
	if m := n.Config().Interface.MTU; m > 0 {
		return m, nil
	}
	endpoints := n.endpoints.Load().Addrs()
	now, err := uplink.Look(endpoints, n.Config().Interface.FwMark)
	if err != nil {
		return 0, err
	}
	s := plan.State{DefaultMTU: now.Default4.MTU}
	for _, a := range endpoints {
		if mtu := now.Ways[a].MTU; mtu > 0 {
			s.EndpointMTUs = append(s.EndpointMTUs, mtu)
		}
	}
	mtu, _, err := s.MTU()
	return mtu, err
}

func (*foreignLink) tasks(*Node) []task.Task { return nil }

func (*foreignLink) configTasks(n *Node, f *endpoint.Follower) []task.Task {
	return []task.Task{n.watchNetwork(f)}
}

// reload changes the peers.
func (m *foreignLink) reload(_ context.Context, r *reload) error {
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

func (m *foreignLink) subject(n *Node, s *explain.Subject) {
	s.MTU = m.link.MTU
	s.Prober, s.Kernel, s.Local = m.link.Prober, false, n.hasAddress
}

func (*foreignLink) addresses(cfg *config.Config) []netip.Addr { return addressesIn(cfg) }
