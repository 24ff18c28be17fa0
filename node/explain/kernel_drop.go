//go:build linux

package explain

import (
	"net/netip"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// addDrop takes in what the kernel says that it has dropped, if it is of the flow.
func (x *explanation) addDrop(d *observe.Dropped) {
	if x.facts.Kernel == nil || !x.ofFlow(d) {
		return
	}
	x.facts.Kernel.On(d.On).AddDrop(x.dropOn(d, d.On))
}

// dropOn is a drop on a segment as it is evidence.
func (s *Subject) dropOn(d *observe.Dropped, on evidence.Segment) evidence.KernelDrop {
	drop := d.KernelDrop
	drop.Device = routing.LinkName(d.Device)
	if on == evidence.FromWire {
		index, _, ok := d.Index()
		drop.Claimed, drop.Sender = !ok || s.Tunnel.PeerByIndex(index) == 0, d.Sender()
	}
	return drop
}

// addDrop takes in what the kernel has dropped of all messages. Which way one went its ports
// do not say, since both ends may have the same: the part of the path does that it was on.
func (o *Observer) addDrop(d *observe.Dropped) {
	port := o.facts.ListenPort
	switch d.Hook {
	case "output", "postrouting", "egress":
		if d.Src.Port() != port {
			return // of another program, to a port like ours
		}
		if k := o.kernel(d.Dst); k != nil {
			k.ToWire.AddDrop(o.s.dropOn(d, evidence.ToWire))
		}
	case "ingress", "prerouting", "input":
		if d.Dst.Port() != port {
			return
		}
		if k := o.kernel(d.Src); k != nil {
			k.FromWire.AddDrop(o.s.dropOn(d, evidence.FromWire))
		}
	}
}

// ofFlow reports whether a packet of a segment is one of the connection that is followed.
func (x *explanation) ofFlow(d *observe.Dropped) bool {
	client, host, id := x.flow.Client, d.Src, d.Src.Port()
	forth := d.On == evidence.ToTunnel && x.facts.Side == probe.SideA || d.On == evidence.FromTunnel && x.facts.Side == probe.SideB
	switch {
	case d.On == evidence.ToWire || d.On == evidence.FromWire:
		return true
	case !forth:
		host, id = d.Dst, d.Dst.Port()
	}
	if d.Event.Proto == probe.ProtoICMP || d.Event.Proto == probe.ProtoICMPv6 {
		id = d.Src.Port() // of both directions: the echo's identifier
	}
	at := netip.AddrPortFrom(host.Addr(), id)
	if h := x.kernel.forth; x.facts.Side == probe.SideB && h.Dst.IsValid() && at == clientOf(h, true) {
		return true // as this host has translated it
	}
	return at == client || !client.IsValid() && forth
}
