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
	drop := d.KernelDrop
	drop.Device = routing.LinkName(d.Device)
	if d.On == evidence.FromWire {
		index, _, ok := d.Index()
		drop.Claimed = !ok || x.Tunnel.PeerByIndex(index) == 0
	}
	x.facts.Kernel.On(d.On).AddDrop(drop)
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
