//go:build linux

package explain

import (
	"net/netip"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// othersKept bounds how many packets are kept that are not known to be the flow's.
const othersKept = 64

// addPacket takes in what a packet met in this host's kernel, if it is of the connection
// that is followed. The kernel's word may come before the tunnel's event, which says which
// connection that is.
func (x *explanation) addPacket(pkt *observe.Packet) {
	if x.req.Passive && !x.ofClient(pkt) {
		if x.others = append(x.others, pkt); len(x.others) > othersKept {
			x.others = x.others[1:]
		}
		return
	}
	x.kernel.add(x.facts, pkt)
}

// ofClient reports whether a packet may be of the connection that is followed.
func (x *explanation) ofClient(pkt *observe.Packet) bool {
	c, s := x.flow.Client, pkt.Match.On
	forth := x.facts.Side == probe.SideB && s == evidence.FromTunnel || x.facts.Side == probe.SideA && s == evidence.ToTunnel
	switch {
	case s != evidence.ToTunnel && s != evidence.FromTunnel:
		return true // encrypted
	case !forth && x.facts.Side == probe.SideB:
		return true // told by what connection tracking has of the request
	case c.IsValid() && forth:
		return clientOf(pkt.First, true) == c || clientOf(pkt.Last, true) == c
	case c.IsValid():
		return clientOf(pkt.First, false) == c || clientOf(pkt.Last, false) == c
	}
	// It may not get as far as the tunnel, so that no event comes.
	return x.facts.Side == probe.SideA && s == evidence.ToTunnel
}

// clientOf is where a request comes from, or where an answer goes, as in Flow.Client.
func clientOf(h netfilter.Header, forth bool) netip.AddrPort {
	at := h.Destination()
	if forth {
		at = h.Source()
	}
	if h.Proto == probe.ProtoICMP || h.Proto == probe.ProtoICMPv6 {
		return netip.AddrPortFrom(at.Addr(), h.ICMPID)
	}
	return at
}

// turn starts the kernel's evidence over where the flow has turned out to be another
// connection, with what was kept of it.
func (x *explanation) turn() {
	if x.facts.Side == probe.SideB || x.facts.Kernel.ToTunnel.Packets > 0 && x.facts.Kernel.ToTunnel.Src != x.flow.Client {
		x.facts.Kernel.ToTunnel, x.facts.Kernel.FromTunnel = evidence.Traversal{}, evidence.Traversal{}
		x.kernel.forth = netfilter.Header{}
	}
	kept := x.others
	x.others = nil
	for _, pkt := range kept {
		x.addPacket(pkt)
	}
}
