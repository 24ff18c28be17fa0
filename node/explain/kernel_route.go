//go:build linux

package explain

import (
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/conntrack"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// neighborTime is how long a neighbour may take to answer: Linux asks once a
// second, and gives up after three times.
const neighborTime = 1200 * time.Millisecond

// route asks the routing tables what a passage has to do with.
func (w *kernelWatch) route(f *diagnose.Facts, s evidence.Segment, p *evidence.Traversal, pkt *observe.Packet) {
	h := pkt.Last
	if pkt.Start != netfilter.Prerouting {
		if f.Side == diagnose.SideB && s == evidence.ToTunnel { // the answer of a service on this host
			p.Route = wayFrom(h.Src, h.Destination(), h.Proto, h.Mark, w.link)
		}
		return
	}
	flow := routing.Flow{Src: h.Src, Dst: h.Dst, Proto: h.Proto, SPort: h.SrcPort, DPort: h.DstPort, Mark: h.Mark, IIF: p.In}
	snap, err := routing.Take(routing.Options{Only: []netip.Addr{h.Src, h.Dst}})
	if err != nil {
		return
	}
	if p.Lost != "" {
		check := snap.ReversePath(flow)
		p.Source = &evidence.SourceCheck{Drops: check.Drops && check.Doubt == "", Evidence: check.Evidence, Fix: check.Fix}
		if check.Back != nil {
			p.Source.Back = decided(check.Back, snap)
		}
	}
	local, _ := snap.AddrType(h.Dst)
	if local == routing.TypeLocal || s == evidence.FromWire {
		return
	}
	walk := snap.Walk(flow)
	_ = snap.Verify(&walk) // where the kernel does not answer the walk stands as it is
	p.Route = decided(&walk, snap)
	fwd := snap.Forwarding(h.Dst.Is6(), p.In)
	p.Forwarding = &evidence.Forwarding{On: fwd.On, Evidence: fwd.Evidence, Fix: fwd.Fix}
	if len(walk.Decision.Hops) > 0 {
		if next := snap.NextHop(h.Dst, walk.Decision.Hops[0]); next.Resolves {
			p.Route.Neighbor = w.nextHop(next)
		}
	}
	if f.Side == diagnose.SideB && s == evidence.FromTunnel {
		p.Conntrack = tracked(pkt.First)
	}
}

// update asks about what no traced packet tells: the way back of an answer that
// this host itself would give, and whether a neighbour answers meanwhile.
func (w *kernelWatch) update(f *diagnose.Facts) {
	if f.Side != diagnose.SideB || f.Flow == nil || f.Flow.Seen[probe.B4] == nil || f.Flow.Seen[probe.B7] != nil {
		return
	}
	forth, back := &f.Kernel.FromTunnel, &f.Kernel.ToTunnel
	if back.Packets > 0 || forth.Packets == 0 {
		return
	}
	if f.Flow.Route.Local && back.Route.Kind == evidence.RouteUnknown {
		back.Route = wayFrom(f.Flow.Target.Addr(), forth.Src, 0, 0, w.link)
	}
	if n := forth.Route.Neighbor; n != nil && time.Since(w.looked) > look*3 {
		w.looked = time.Now()
		if snap, err := routing.Take(routing.Options{Only: []netip.Addr{n.Addr}}); err == nil {
			if l := snap.Link(n.Link); l != nil {
				forth.Route.Neighbor = w.nextHop(snap.NextHop(n.Addr, routing.Hop{Dev: n.Link, Link: l.Index}))
			}
		}
	}
}

// nextHop words what is known of a neighbour. One that was asked for only a moment
// ago may yet answer.
func (w *kernelWatch) nextHop(n routing.NextHop) *evidence.Neighbor {
	if w.asked.IsZero() {
		w.asked = time.Now()
	}
	silent := n.Unreachable() && (n.Neighbor.State == routing.NeighborFailed || time.Since(w.asked) > neighborTime)
	return &evidence.Neighbor{Unreachable: silent, Evidence: n.Evidence(), Addr: n.Addr, Link: n.Dev}
}

// tracked asks connection tracking about a flow, nil if it does not know it.
func tracked(h netfilter.Header) *evidence.Conntrack {
	e, err := conntrack.Get(conntrack.Tuple{Src: h.Src, Dst: h.Dst, Proto: h.Proto, SrcPort: h.SrcPort, DstPort: h.DstPort,
		ICMPType: h.ICMPType, ICMPCode: h.ICMPCode, ICMPID: h.ICMPID}, 0)
	if err != nil {
		return nil // there is none, or it cannot be read: nothing is claimed
	}
	_, snat := e.SNAT()
	return &evidence.Conntrack{Text: e.String(), Unreplied: e.Unreplied(), SNAT: snat}
}
