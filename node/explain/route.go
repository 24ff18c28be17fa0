//go:build linux

package explain

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// found is where routing leads a packet.
type found struct {
	evidence.RouteDecision
	mtu  int    // bytes; of the route, 0 if not known
	link string // that the packet leaves by; one of them if it may take several
}

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

// route looks up where the node's encrypted packets to a peer go, if there is a kernel to
// ask. It does nothing for a peer that is nil or has no endpoint.
func (s *Subject) route(f *diagnose.Facts, p *diagnose.Peer) {
	if s.Kernel && p != nil && p.Endpoint.IsValid() {
		p.Route = s.endpointRoutes(f.ListenPort, f.FwMark, []netip.AddrPort{p.Endpoint})[p.Endpoint].RouteDecision
	}
}

// sayer is who the latest ICMP error about a peer's messages is from, without a port.
func sayer(p *diagnose.Peer) netip.AddrPort {
	if p.ICMP == nil {
		return netip.AddrPort{}
	}
	from, _ := p.ICMP.Outer()
	return netip.AddrPortFrom(from.Addr(), 0)
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

// back is where answers to a packet would go that a peer may not send; nil if there is none.
// It looks that up once for each source.
func (s *Subject) back(p *diagnose.Peer, was *evidence.RouteDecision, of netip.Addr) (*evidence.RouteDecision, netip.Addr) {
	if p == nil || p.Disallowed == nil || !s.Kernel {
		return nil, netip.Addr{}
	}
	src, _ := p.Disallowed.Inner()
	if !src.Addr().IsValid() || src.Addr() == of {
		return was, of
	}
	r := routeTo(netip.AddrPortFrom(src.Addr(), 0), 0, 0, s.Interface)
	return &r, src.Addr()
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
