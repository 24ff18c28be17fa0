package tunnel

import (
	"net/netip"
	"sync/atomic"

	"github.com/gaissmai/bart"

	"github.com/wgnode/wgnode/probe"
)

// allowedIPs is the mirror of the device's AllowedIPs table: cryptokey
// routing as the device will do it, and the prefix that decides, which the
// device does not tell. Lookups take no lock; changes replace the table.
type allowedIPs struct {
	table atomic.Pointer[bart.Table[route]]
	// mapped holds prefixes within ::ffff:0:0/96. For the device these are
	// IPv6; an event cannot tell such an address from an IPv4 one.
	mapped     atomic.Pointer[map[netip.Prefix]route]
	generation atomic.Uint32 // changes with every change of the table
	byPeer     map[probe.PeerID]map[netip.Prefix]struct{}
}

type route struct {
	peer probe.PeerID
	bits uint8
}

func newAllowedIPs() *allowedIPs {
	a := &allowedIPs{byPeer: make(map[probe.PeerID]map[netip.Prefix]struct{})}
	a.table.Store(new(bart.Table[route]))
	a.mapped.Store(new(map[netip.Prefix]route))
	a.generation.Store(1)
	return a
}

// lookup finds the peer for an address and the length of the prefix that
// matched; 0 and probe.NoPrefix if none does.
func (a *allowedIPs) lookup(addr netip.Addr) (probe.PeerID, uint8) {
	if r, ok := a.table.Load().Lookup(addr); ok {
		return r.peer, r.bits
	}
	return 0, probe.NoPrefix
}

// insert gives prefix to peer, and takes it from whoever had it, as the device
// does. The caller serialises changes.
func (a *allowedIPs) insert(prefix netip.Prefix, peer probe.PeerID) {
	prefix = prefix.Masked()
	a.forget(prefix)
	if a.byPeer[peer] == nil {
		a.byPeer[peer] = make(map[netip.Prefix]struct{})
	}
	a.byPeer[peer][prefix] = struct{}{}
	r := route{peer, uint8(prefix.Bits())}
	if prefix.Addr().Is4In6() {
		m := cloneMap(*a.mapped.Load())
		m[prefix] = r
		a.mapped.Store(&m)
	} else {
		a.table.Store(a.table.Load().InsertPersist(prefix, r))
	}
	a.generation.Add(1)
}

// owner returns the peer that has exactly this prefix, or 0.
func (a *allowedIPs) owner(prefix netip.Prefix) probe.PeerID {
	if prefix.Addr().Is4In6() {
		return (*a.mapped.Load())[prefix].peer
	}
	r, _ := a.table.Load().Get(prefix)
	return r.peer
}

func (a *allowedIPs) forget(prefix netip.Prefix) {
	if p := a.owner(prefix); p != 0 {
		a.remove(prefix, p)
	}
}

// remove takes prefix from peer, if it is that peer's.
func (a *allowedIPs) remove(prefix netip.Prefix, peer probe.PeerID) {
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
	a.generation.Add(1)
}

// removePeer takes all prefixes from peer.
func (a *allowedIPs) removePeer(peer probe.PeerID) {
	for prefix := range a.byPeer[peer] {
		a.remove(prefix, peer)
	}
	delete(a.byPeer, peer)
}

// replace makes the table of these prefixes, which are masked. Unlike insert it
// does not copy a path of the table for each, which for thousands of them is
// most of the work.
func (a *allowedIPs) replace(routes map[netip.Prefix]probe.PeerID) {
	table, mapped := new(bart.Table[route]), make(map[netip.Prefix]route)
	clear(a.byPeer)
	for prefix, peer := range routes {
		if a.byPeer[peer] == nil {
			a.byPeer[peer] = make(map[netip.Prefix]struct{})
		}
		a.byPeer[peer][prefix] = struct{}{}
		r := route{peer, uint8(prefix.Bits())}
		if prefix.Addr().Is4In6() {
			mapped[prefix] = r
		} else {
			table.Insert(prefix, r)
		}
	}
	a.table.Store(table)
	a.mapped.Store(&mapped)
	a.generation.Add(1)
}

func cloneMap(m map[netip.Prefix]route) map[netip.Prefix]route {
	c := make(map[netip.Prefix]route, len(m)+1)
	for k, v := range m {
		c[k] = v
	}
	return c
}

// lookupMapped looks up a destination within ::ffff:0:0/96 of an IPv6 packet.
func (a *allowedIPs) lookupMapped(addr netip.Addr) (probe.PeerID, uint8) {
	best := route{bits: probe.NoPrefix}
	for p, r := range *a.mapped.Load() {
		if p.Contains(addr) && (best.peer == 0 || r.bits > best.bits) {
			best = r
		}
	}
	if best.peer != 0 {
		return best.peer, best.bits
	}
	// A shorter prefix may cover all of ::ffff:0:0/96, ::/0 for one. bart
	// takes no mapped addresses, so ask with a neighbour that such prefixes
	// cover as well.
	return a.lookup(netip.AddrFrom16([16]byte{10: 0xff, 11: 0xfe}))
}
