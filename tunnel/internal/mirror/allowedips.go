package mirror

import (
	"net/netip"
	"sync/atomic"

	"github.com/gaissmai/bart"

	"github.com/wgnode/wgnode/probe"
)

// AllowedIPs is the mirror of the device's AllowedIPs table: cryptokey
// routing as the device will do it, and the prefix that decides, which the
// device does not tell. Lookups take no lock; changes replace the table.
type AllowedIPs struct {
	table atomic.Pointer[bart.Table[Route]]
	// mapped holds prefixes within ::ffff:0:0/96. For the device these are
	// IPv6; an event cannot tell such an address from an IPv4 one.
	mapped     atomic.Pointer[map[netip.Prefix]Route]
	Generation atomic.Uint32 // changes with every change of the table
	byPeer     map[probe.PeerID]map[netip.Prefix]struct{}
}

type Route struct {
	Peer probe.PeerID
	Bits uint8
}

func newAllowedIPs() *AllowedIPs {
	a := &AllowedIPs{byPeer: make(map[probe.PeerID]map[netip.Prefix]struct{})}
	a.table.Store(new(bart.Table[Route]))
	a.mapped.Store(new(map[netip.Prefix]Route))
	a.Generation.Store(1)
	return a
}

// Lookup finds the peer for an address and the length of the prefix that
// matched; 0 and probe.NoPrefix if none does.
func (a *AllowedIPs) Lookup(addr netip.Addr) (probe.PeerID, uint8) {
	if r, ok := a.table.Load().Lookup(addr); ok {
		return r.Peer, r.Bits
	}
	return 0, probe.NoPrefix
}

// Insert gives prefix to peer, and takes it from whoever had it, as the device
// does. The caller serialises changes.
func (a *AllowedIPs) Insert(prefix netip.Prefix, peer probe.PeerID) {
	prefix = prefix.Masked()
	a.forget(prefix)
	if a.byPeer[peer] == nil {
		a.byPeer[peer] = make(map[netip.Prefix]struct{})
	}
	a.byPeer[peer][prefix] = struct{}{}
	r := Route{peer, uint8(prefix.Bits())}
	if prefix.Addr().Is4In6() {
		m := cloneMap(*a.mapped.Load())
		m[prefix] = r
		a.mapped.Store(&m)
	} else {
		a.table.Store(a.table.Load().InsertPersist(prefix, r))
	}
	a.Generation.Add(1)
}

// owner returns the peer that has exactly this prefix, or 0.
func (a *AllowedIPs) owner(prefix netip.Prefix) probe.PeerID {
	if prefix.Addr().Is4In6() {
		return (*a.mapped.Load())[prefix].Peer
	}
	r, _ := a.table.Load().Get(prefix)
	return r.Peer
}

func (a *AllowedIPs) forget(prefix netip.Prefix) {
	if p := a.owner(prefix); p != 0 {
		a.Remove(prefix, p)
	}
}

// Remove takes prefix from peer, if it is that peer's.
func (a *AllowedIPs) Remove(prefix netip.Prefix, peer probe.PeerID) {
	prefix = prefix.Masked()
	if a.owner(prefix) != peer {
		return
	}
	delete(a.byPeer[peer], prefix)
	if prefix.Addr().Is4In6() {
		m := cloneMap(*a.mapped.Load())
		delete(m, prefix)
		a.mapped.Store(&m)
	} else {
		a.table.Store(a.table.Load().DeletePersist(prefix))
	}
	a.Generation.Add(1)
}

// RemovePeer takes all prefixes from peer.
func (a *AllowedIPs) RemovePeer(peer probe.PeerID) {
	for prefix := range a.byPeer[peer] {
		a.Remove(prefix, peer)
	}
	delete(a.byPeer, peer)
}

// replace makes the table of these prefixes, which are masked. Unlike insert it
// does not copy a path of the table for each, which for thousands of them is
// most of the work.
func (a *AllowedIPs) replace(routes map[netip.Prefix]probe.PeerID) {
	table, mapped := new(bart.Table[Route]), make(map[netip.Prefix]Route)
	clear(a.byPeer)
	for prefix, peer := range routes {
		if a.byPeer[peer] == nil {
			a.byPeer[peer] = make(map[netip.Prefix]struct{})
		}
		a.byPeer[peer][prefix] = struct{}{}
		r := Route{peer, uint8(prefix.Bits())}
		if prefix.Addr().Is4In6() {
			mapped[prefix] = r
		} else {
			table.Insert(prefix, r)
		}
	}
	a.table.Store(table)
	a.mapped.Store(&mapped)
	a.Generation.Add(1)
}

func cloneMap(m map[netip.Prefix]Route) map[netip.Prefix]Route {
	c := make(map[netip.Prefix]Route, len(m)+1)
	for k, v := range m {
		c[k] = v
	}
	return c
}

// lookupMapped looks up a destination within ::ffff:0:0/96 of an IPv6 packet.
func (a *AllowedIPs) lookupMapped(addr netip.Addr) (probe.PeerID, uint8) {
	best := Route{Bits: probe.NoPrefix}
	for p, r := range *a.mapped.Load() {
		if p.Contains(addr) && (best.Peer == 0 || r.Bits > best.Bits) {
			best = r
		}
	}
	if best.Peer != 0 {
		return best.Peer, best.Bits
	}
	// A shorter prefix may cover all of ::ffff:0:0/96, ::/0 for one. bart
	// takes no mapped addresses, so ask with a neighbour that such prefixes
	// cover as well.
	return a.Lookup(netip.AddrFrom16([16]byte{10: 0xff, 11: 0xfe}))
}
