package mirror

import (
	"encoding/binary"
	"net/netip"

	"github.com/wgnode/wgnode/probe"
)

// routeCacheBits is the logarithm of how many addresses a RouteCache holds:
// enough for the busy ones among thousands, few enough (64 KiB) to stay near
// the processor.
const routeCacheBits = 11

// RouteCache remembers lookups, each address in the one place that its hash
// gives it: a tenth of the cost of a lookup in a large table. It is not safe
// for concurrent use.
type RouteCache struct {
	From    *AllowedIPs
	entries [1 << routeCacheBits]cachedRoute
}

type cachedRoute struct {
	addr       probe.Addr
	generation uint32 // 0: empty
	Route
}

// Lookup is [AllowedIPs.Lookup] for an address as events hold it; v6 says that
// it is from an IPv6 packet.
func (c *RouteCache) Lookup(addr *probe.Addr, v6 bool) (probe.PeerID, uint8) {
	h := binary.NativeEndian.Uint32(addr[12:]) ^ binary.NativeEndian.Uint32(addr[4:])
	e := &c.entries[h*0x9e3779b1>>(32-routeCacheBits)]
	gen := c.From.Generation.Load()
	if e.generation == gen && e.addr == *addr && !v6 == addr.Is4() {
		return e.Peer, e.Bits
	}
	if v6 && addr.Is4() {
		return c.From.lookupMapped(netip.AddrFrom16(*addr))
	}
	peer, bits := c.From.Lookup(addr.Netip())
	*e = cachedRoute{addr: *addr, generation: gen, Route: Route{peer, bits}}
	return peer, bits
}
