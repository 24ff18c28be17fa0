//go:build linux

package explain

import (
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// othersKept bounds how many observations are kept that are not known to be of the flow.
const othersKept = 64

// keepOther keeps what is not known to be of the flow.
func (x *explanation) keepOther(o observe.Observation) {
	if x.others = append(x.others, o); len(x.others) > othersKept {
		x.others = x.others[1:]
	}
}

// addPacket takes in what a packet met in this host's kernel, if it is of the connection
// that is followed. The kernel's word may come before the tunnel's event, which says which
// connection that is.
func (x *explanation) addPacket(pkt *observe.Packet) {
	if on := pkt.Match.On; on == evidence.ToWire || on == evidence.FromWire {
		x.kernel.whose.ask(pkt.Head(), on == evidence.ToWire, sentFrom(pkt), time.Now(), func(b belongs) {
			if f := x.half(on, pkt.First.Source(), pkt.First.Destination(), b); f != nil {
				x.kernel.add(f, pkt, b.known, x.col.Peers[b.peer])
			}
		})
		return
	}
	if x.req.Passive && !x.ofClient(pkt) {
		x.keepOther(observe.Observation{Packet: pkt})
		return
	}
	if c := x.flow.Client; x.req.Passive && x.facts.Side == probe.SideB && pkt.Match.On == evidence.ToTunnel &&
		clientOf(pkt.First, false) != c && clientOf(pkt.Last, false) != c {
		x.keepOther(observe.Observation{Packet: pkt}) // an answer to the connection that follows, perhaps
	}
	x.kernel.add(x.facts, pkt, "", nil)
}

// half is the half of the flow that an encrypted packet belongs to: it has one where a peer's
// packets are passed on to another. nil: it is none of the flow's.
func (x *explanation) half(on evidence.Segment, src, dst netip.AddrPort, b belongs) *diagnose.Facts {
	f, onward := x.facts, x.facts.Onward
	switch {
	case b.peer != 0 && onward != nil && b.peer == x.behind:
		return onward
	case b.peer != 0 && x.peer == 0:
		x.only(b.peer)
		return f
	case b.peer != 0 && b.peer == x.peer:
		return f
	case b.peer != 0, b.known != evidence.Claimed, on == evidence.ToWire:
		return nil // of another peer, of none, or of another host
	case onward != nil && livesAt(onward.Peer, src):
		return onward
	case f.Peer == nil || livesAt(f.Peer, src):
		return f
	}
	return nil
}

// livesAt reports whether a packet from an address may be a peer's: it is there or has been,
// or nobody knows where it is.
func livesAt(p *diagnose.Peer, at netip.AddrPort) bool {
	same := func(a netip.AddrPort) bool { return a.Addr() == at.Addr() }
	if !p.Endpoint.IsValid() && len(p.Earlier)+len(p.Addresses) == 0 {
		return true
	}
	return same(p.Endpoint) || slices.ContainsFunc(p.Addresses, same) ||
		slices.ContainsFunc(p.Earlier, func(e diagnose.Place) bool { return same(e.Endpoint) })
}

// only forgets what was seen of encrypted packets that are not of this peer, or cannot be.
func (x *explanation) only(peer probe.PeerID) {
	w := x.kernel
	if w == nil || w.peer == peer {
		return
	}
	k := x.facts.Kernel
	if p := x.col.Peers[peer]; w.peer != 0 || k.FromWire.Claimed() && p != nil && !livesAt(p, k.FromWire.Src) {
		k.FromWire, k.ToWire = evidence.Traversal{}, evidence.Traversal{}
	}
	w.peer = peer
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
	for _, o := range kept {
		if o.Dropped != nil {
			x.addDrop(o.Dropped)
		} else {
			x.addPacket(o.Packet)
		}
	}
}
