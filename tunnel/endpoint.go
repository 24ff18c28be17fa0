package tunnel

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe"
)

// endpointSet notes an endpoint that the configuration gives, or a client.
func (m *mirror) endpointSet(p *peer, ep netip.AddrPort, client bool) {
	ep = plainEndpoint(ep)
	p.endpoint.Store(&ep)
	now := m.clock.now()
	p.placed.Store(now)
	p.settle(ep, false, now)
	if client {
		p.clients.Store(&ep)
	} else {
		p.clients.Store(nil)
	}
}

func plainEndpoint(ep netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ep.Addr().Unmap().WithZone(""), ep.Port())
}

// endpointSeen notes where an authenticated packet of a peer's came from. A change is
// recorded as an event of its own, beside the one with Seq seq that shows it.
func (m *mirror) endpointSeen(p *peer, ep netip.AddrPort, seq uint64) {
	old := p.endpoint.Load()
	if old != nil && *old == ep {
		return
	}
	ep = plainEndpoint(ep)
	if old == nil || *old != ep {
		m.endpointMoved(p, old, ep, seq)
	}
}

// endpointUsed notes where a packet to a peer goes. That shows where the device has learned
// that the peer is, if the peer was heard since its endpoint last became another one. If not,
// the packet was on its way already then.
func (m *mirror) endpointUsed(p *peer, ep netip.AddrPort, seq uint64) {
	old := p.endpoint.Load()
	if old != nil && (*old == ep || p.heard.Load() <= p.placed.Load()) || p.changing.Load() {
		return
	}
	m.endpointSeen(p, ep, seq)
}

// endpointMoved is the rare part of endpointSeen, apart from it because ep
// escapes here.
func (m *mirror) endpointMoved(p *peer, old *netip.AddrPort, ep netip.AddrPort, seq uint64) {
	p.endpoint.Store(&ep)
	if !p.configured.Load() {
		p.endpoint.Store(nil)
		return
	}
	now := m.clock.now()
	p.placed.Store(now)
	p.settle(ep, true, now)
	e := probe.Event{Kind: probe.KindEndpoint, Peer: p.id, Pair: seq, Flags: probe.FlagEndpointMoved,
		OuterDst: probe.AddrFrom(ep.Addr()), OuterDstPort: ep.Port()}
	if old != nil {
		e.OuterSrc, e.OuterSrcPort = probe.AddrFrom(old.Addr()), old.Port()
		p.moves.Add(1)
	}
	m.record(e)
}
