//go:build linux

package kernelwg

import (
	"net/netip"
	"sync/atomic"

	"github.com/gaissmai/bart"

	"github.com/wgnode/wgnode/probe"
)

// allowed says which prefix of which peer's AllowedIPs an address is in, as the kernel was
// configured when that was read last. It is safe for concurrent use.
type allowed struct {
	table atomic.Pointer[bart.Table[route]] // nil: not known
}

type route struct {
	peer probe.PeerID
	bits uint8
}

// set replaces what is known.
func (a *allowed) set(d *Device, peers *Peers) {
	t := new(bart.Table[route])
	for i := range d.Peers {
		id := peers.ID(d.Peers[i].Public)
		for _, p := range d.Peers[i].AllowedIPs {
			t.Insert(p, route{id, uint8(p.Bits())})
		}
	}
	a.table.Store(t)
}

// find is the longest prefix that an address is in. known is false if nobody has said
// what there is.
func (a *allowed) find(addr netip.Addr) (r route, found, known bool) {
	t := a.table.Load()
	if t == nil {
		return r, false, false
	}
	r, found = t.Lookup(addr)
	return r, found, true
}

// prefix notes the prefix by which an event's peer is its peer.
func (a *allowed) prefix(e *probe.Event, addr *probe.Addr) {
	if r, ok, _ := a.find(addr.Netip()); ok && r.peer == e.Peer {
		e.PrefixBits = r.bits
	}
}
