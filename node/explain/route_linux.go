package explain

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// endpointRoutes looks up where the node's encrypted packets to each endpoint go,
// all of them at once: a hub has thousands of peers.
func (s *Subject) endpointRoutes(port uint16, mark uint32, endpoints []netip.AddrPort) map[netip.AddrPort]found {
	routes := make(map[netip.AddrPort]found)
	if !s.Kernel || len(endpoints) == 0 {
		return routes
	}
	flows := make([]routing.Flow, len(endpoints))
	for i, ep := range endpoints {
		flows[i] = routing.Flow{Dst: ep.Addr(), DPort: ep.Port(), SPort: port, Proto: probe.ProtoUDP, Mark: mark}.Own()
	}
	for i, r := range routesOf(flows, s.Interface) {
		routes[endpoints[i]] = r
	}
	return routes
}

// routeTo looks up where this host's own packets to an address go.
func routeTo(dst netip.AddrPort, proto uint8, mark uint32, link string) evidence.RouteDecision {
	return routeFrom(netip.Addr{}, dst, proto, mark, link)
}

// routeFrom is routeTo for packets whose source is known.
func routeFrom(src netip.Addr, dst netip.AddrPort, proto uint8, mark uint32, link string) evidence.RouteDecision {
	f := routing.Flow{Src: src, Dst: dst.Addr(), DPort: dst.Port(), Proto: proto, Mark: mark}.Own()
	return routesOf([]routing.Flow{f}, link)[0].RouteDecision
}

// routesOf looks packets up, those that routing leads into link also past it. There is
// one result for each flow, in their order.
func routesOf(flows []routing.Flow, link string) []found {
	all := make([]found, len(flows))
	for i, e := range routing.ExplainAll(flows) {
		r := &all[i]
		if e.Err != nil {
			r.Text = e.Err.Error()
			continue
		}
		d := &e.Walk.Decision
		r.RouteDecision, r.mtu = e.Snapshot.Evidence(&e.Walk), d.MTU
		if len(d.Hops) > 0 {
			r.link = d.Hops[0].Dev
		}
		if r.Kind == evidence.RouteFound && r.Interface == link {
			r.Around = e.Snapshot.Around(e.Walk.Flow.Dst, link)
		}
	}
	return all
}
