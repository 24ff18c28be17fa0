//go:build linux

package explain

import (
	"time"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// neighborTime is how long a neighbor may take to answer: Linux asks once a
// second, and gives up after three times.
const neighborTime = 1200 * time.Millisecond

// route asks the routing tables what a traversal has to do with.
func (w *kernelWatch) route(f *diagnose.Facts, s evidence.Segment, p *evidence.Traversal, pkt *observe.Packet) {
	if h := pkt.Last; pkt.Start != netfilter.Prerouting {
		if f.Side == probe.SideB && s == evidence.ToTunnel { // the answer of a service on this host
			p.Route = routeFrom(h.Src, h.Destination(), h.Proto, h.Mark, w.link)
		}
		return
	}
	a, ok := pkt.Arrive()
	if !ok {
		return
	}
	if p.Lost != "" {
		p.Source = a.Source()
	}
	if own := a.Own(); own || s == evidence.FromWire {
		if r := a.Route(); own && r.Overruled != "" {
			p.Route = r
		}
		return
	}
	p.Route, p.Forwarding = a.Route(), a.Forwarding()
	if n := p.Route.Neighbor; n != nil {
		w.wait(n)
	}
	if f.Side == probe.SideB && s == evidence.FromTunnel {
		p.Conntrack = pkt.Conntrack()
		p.Proxy = a.Proxy(p.Route.Interface)
	}
}

// update looks up what no traced packet shows: the route back of an answer that this
// host itself would give, and whether a neighbor answers meanwhile.
func (w *kernelWatch) update(f *diagnose.Facts) {
	if f.Side != probe.SideB || f.Flow == nil || f.Flow.Seen[probe.B4] == nil || f.Flow.Seen[probe.B7] != nil {
		return
	}
	forth, back := &f.Kernel.FromTunnel, &f.Kernel.ToTunnel
	if back.Packets > 0 || forth.Packets == 0 {
		return
	}
	if f.Flow.Route.Local && back.Route.Kind == evidence.RouteUnknown {
		back.Route = routeFrom(f.Flow.Target.Addr(), forth.Src, 0, 0, w.link)
	}
	if n := forth.Route.Neighbor; n != nil && time.Since(w.looked) > look*3 {
		w.looked = time.Now()
		if now, err := routing.LookUpNeighbor(n.Addr, n.Link); err == nil {
			forth.Route.Neighbor = now
			w.wait(now)
		}
	}
}

// wait gives a neighbor time to answer: one that was asked for only a moment ago may
// do so yet.
func (w *kernelWatch) wait(n *evidence.Neighbor) {
	if w.asked.IsZero() {
		w.asked = time.Now()
	}
	if n.Pending && time.Since(w.asked) <= neighborTime {
		n.Unreachable = false
	}
}
