//go:build linux

package explain

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/tunnel"
)

// kernelWatch takes in what packets of a flow met in this host's kernel.
type kernelWatch struct {
	link   string
	forth  netfilter.Header // the latest request of the flow, on the side that is called
	asked  time.Time        // when the next hop was first looked at
	looked time.Time        // and when the last time
	// whose finds out whose encrypted packets are, and peer is the one that those seen are of,
	// 0 if that is not known.
	whose *whose
	peer  probe.PeerID
	rules observe.Finder
}

// watchKernel begins to follow packets, or goes on with others than before. What
// cannot be followed is noted in the facts.
func (x *explanation) watchKernel(ctx context.Context) {
	if x.kernel == nil {
		x.kernel = &kernelWatch{link: x.Interface, whose: newWhose(x.Tunnel)}
	}
	var sel observe.Selection
	if x.facts.Side == probe.SideB {
		x.matchesB(sel.Add)
	} else {
		x.matchesA(sel.Add)
	}
	was := x.facts.Kernel
	x.facts.Kernel = x.session.WatchKernel(ctx, sel)
	if x.forwardedTo.IsValid() || x.translated { // it is the same flow, and what was seen of it counts
		for s := range evidence.FromTunnel + 1 {
			*x.facts.Kernel.On(s) = *was.On(s)
		}
	} else {
		x.facts.Watched = time.Now()
		x.col.Since = x.facts.Watched.UnixNano()
	}
}

// add takes the walk of one packet into account, in the facts' Kernel. known is how it is
// known to be the peer's, "" of what is not encrypted.
func (w *kernelWatch) add(f *diagnose.Facts, pkt *observe.Packet, known evidence.Known, peer *diagnose.Peer) {
	if !w.ours(f, pkt) {
		return
	}
	s := pkt.Match.On
	p := f.Kernel.On(s)
	ports := services(f, s, pkt.Last.SrcPort, pkt.Last.DstPort)
	next := pkt.Traversal(ports)
	if next.Whose = known; peer != nil && known.Proves() {
		next.Peer = peer.Label()
	}
	if h := pkt.Head(); known == evidence.Claimed && len(h) >= tunnel.HeadLen && h[0] == probe.TypeInitiation {
		next.Sender = binary.LittleEndian.Uint32(h[4:])
	}
	if s == evidence.ToTunnel && f.Side == probe.SideA && next.Passed != "" && next.Out != w.link {
		pkt.Diversion(&next, ports)
	}
	if s != evidence.FromWire {
		next.Lowered = pkt.Lowered(ports)
	}
	if f.Side == probe.SideB && s == evidence.ToTunnel {
		next.Untracked = pkt.Untracked(ports)
	}
	p.Add(&next)
	p.XfrmBlocks = pkt.Blocks(p)
	w.route(f, s, p, pkt)
}

// ours reports whether a packet is of the flow. Others look alike: those from the
// same service to other hosts.
func (w *kernelWatch) ours(f *diagnose.Facts, pkt *observe.Packet) bool {
	h, was := pkt.Last, w.forth
	// The latest request counts: what an earlier one is answered has its connection.
	switch s := pkt.Match.On; {
	case f.Side == probe.SideB && s == evidence.FromTunnel:
		w.forth = h
	case f.Side == probe.SideB && s == evidence.ToTunnel:
		known := was.Conntrack.Known && h.Conntrack.Known && was.Conntrack.ID != 0
		return known && was.Conntrack.ID == h.Conntrack.ID || answers(pkt.First, was)
	}
	return true
}

// answers reports whether a packet, as it comes in, has the addresses of an answer to the
// request, as that left. Connection tracking need not know it, and may take it for the
// beginning of another connection.
func answers(reply, request netfilter.Header) bool {
	return reply.Proto == request.Proto && reply.Source() == request.Destination() && reply.Destination() == request.Source() &&
		reply.ICMPID == request.ICMPID
}

// services are the ports that stand for a service: the others were chosen for one
// connection, and the next one has another.
func services(f *diagnose.Facts, s evidence.Segment, src, dst uint16) observe.Ports {
	translated := uint16(0) // the service's, where a port forward leads to it
	switch {
	case f.Side == probe.SideB && s == evidence.FromTunnel, f.Side == probe.SideA && s == evidence.ToTunnel:
		translated = dst
	case s == evidence.ToTunnel, s == evidence.FromTunnel:
		translated = src
	}
	wire := s == evidence.ToWire || s == evidence.FromWire
	return func(port uint16) bool {
		switch {
		case port == 0:
			return false
		case wire: // a program's own port may be the same by chance
			return port == f.ListenPort || f.Peer != nil && port == f.Peer.Endpoint.Port()
		case port == translated:
			return true
		}
		return f.Flow != nil && port == f.Flow.Target.Port()
	}
}
