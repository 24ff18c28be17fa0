package node

import (
	"context"
	"os"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/internal/device"
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

// onHost reports whether the node sets up an interface of this host.
func (o *Options) onHost() bool { return !o.Netstack && o.MakeLink == nil }

// startElsewhere serves a link that is made by [Options.MakeLink]. It has no
// steps. The journal names the process, for [teardown.Down].
func (n *Node) startElsewhere(ctx context.Context) error {
	mtu, err := n.mtuElsewhere()
	if err != nil {
		return err
	}
	j, err := plan.CreateJournal(rundir.Journal(n.opt.RunDir, n.name), n.name, n.Config().Path)
	if err != nil {
		return err
	}
	n.journal = j
	l, err := n.opt.MakeLink(ctx, mtu)
	if err != nil {
		return err
	}
	n.link = l
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
