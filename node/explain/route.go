package explain

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// found is where routing leads a packet.
type found struct {
	evidence.RouteDecision
	mtu  int    // bytes; of the route, 0 if not known
	link string // that the packet leaves by; one of them if it may take several
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
