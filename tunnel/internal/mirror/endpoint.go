package mirror

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe"
)

// EndpointSet notes an endpoint that the configuration gives, or a client.
func (m *Mirror) EndpointSet(p *Peer, ep netip.AddrPort, client bool) {
	ep = plainEndpoint(ep)
	p.Endpoint.Store(&ep)
	now := m.Clock.Now()
	p.placed.Store(now)
	p.settle(ep, false, now)
	if client {
		p.ClientSet.Store(&ep)
	} else {
		p.ClientSet.Store(nil)
	}
}

func plainEndpoint(ep netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ep.Addr().Unmap().WithZone(""), ep.Port())
}

// EndpointSeen notes where an authenticated packet of a peer's came from. A change is
// recorded as an event of its own, beside the one with Seq seq that shows it.
func (m *Mirror) EndpointSeen(p *Peer, ep netip.AddrPort, seq uint64) {
	old := p.Endpoint.Load()
	if old != nil && *old == ep {
		return
	}
	ep = plainEndpoint(ep)
	if old == nil || *old != ep {
		m.endpointMoved(p, old, ep, seq)
	}
}

// EndpointUsed notes where a packet to a peer goes. That shows where the device has learned
// that the peer is, if the peer was heard since its endpoint last became another one. If not,
// the packet was on its way already then.
func (m *Mirror) EndpointUsed(p *Peer, ep netip.AddrPort, seq uint64) {
	old := p.Endpoint.Load()
	if old != nil && (*old == ep || p.Heard.Load() <= p.placed.Load()) || p.changing.Load() {
		return
	}
	m.EndpointSeen(p, ep, seq)
}

// endpointMoved is the rare part of EndpointSeen, apart from it because ep
// escapes here.
func (m *Mirror) endpointMoved(p *Peer, old *netip.AddrPort, ep netip.AddrPort, seq uint64) {
	p.Endpoint.Store(&ep)
	if !p.Configured.Load() {
		p.Endpoint.Store(nil)
		return
	}
	now := m.Clock.Now()
	p.placed.Store(now)
	p.settle(ep, true, now)
	e := probe.Event{Kind: probe.KindEndpoint, Peer: p.ID, Pair: seq, Flags: probe.FlagEndpointMoved,
		OuterDst: probe.AddrFrom(ep.Addr()), OuterDstPort: ep.Port()}
	if old != nil {
		e.OuterSrc, e.OuterSrcPort = probe.AddrFrom(old.Addr()), old.Port()
		p.Moves.Add(1)
	}
	m.Record(e)
}
