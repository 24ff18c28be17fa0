package tunnel

import (
	"encoding/binary"
	"net/netip"

	"github.com/wgnode/wgnode/probe"
)

// routeCacheBits is the logarithm of how many addresses a routeCache holds:
// enough for the busy ones among thousands, few enough (64 KiB) to stay near
// the processor.
const routeCacheBits = 11

// routeCache remembers lookups, each address in the one place that its hash
// gives it: a tenth of the cost of a lookup in a large table. It is not safe
// for concurrent use.
type routeCache struct {
	from    *allowedIPs
	entries [1 << routeCacheBits]cachedRoute
}

type cachedRoute struct {
	addr       probe.Addr
	generation uint32 // 0: empty
	route
}

// lookup is allowedIPs.lookup for an address as events hold it; v6 says that
// it is from an IPv6 packet.
func (c *routeCache) lookup(addr *probe.Addr, v6 bool) (probe.PeerID, uint8) {
	h := binary.NativeEndian.Uint32(addr[12:]) ^ binary.NativeEndian.Uint32(addr[4:])
	e := &c.entries[h*0x9e3779b1>>(32-routeCacheBits)]
	gen := c.from.generation.Load()
	if e.generation == gen && e.addr == *addr && !v6 == addr.Is4() {
		return e.peer, e.bits
	}
	if v6 && addr.Is4() {
		return c.from.lookupMapped(netip.AddrFrom16(*addr))
	}
	peer, bits := c.from.lookup(addr.Netip())
	*e = cachedRoute{addr: *addr, generation: gen, route: route{peer, bits}}
	return peer, bits
}
