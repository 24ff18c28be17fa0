package udp

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
)

// generation counts the changes to this host's links, addresses, routes and
// rules. What was learned in an earlier generation may no longer hold. A count
// that wraps around does no harm: a wrong source is noticed on sending.
type generation struct{ n atomic.Uint32 }

func (g *generation) now() uint32 { return g.n.Load() }
func (g *generation) advance()    { g.n.Add(1) }

// source is where our packets to a peer leave from. The zero source leaves
// the choice to the kernel.
type source struct {
	addr    netip.Addr
	ifindex uint32
}

// Endpoint is a peer's address and, if it was learned from a packet, the
// source to answer from. It implements conn.Endpoint.
//
// All its methods may be called at any time from any goroutine. Nothing but
// ClearSrc changes what they say, and a packet that arrives never changes an
// Endpoint that exists, for who sent it is not known yet: the device takes
// over a new Endpoint once it has authenticated the packet.
type Endpoint struct {
	dst     netip.AddrPort
	src     source
	learned uint32 // the generation in which src was learned
	cleared atomic.Bool
	gen     *generation

	// zone is the interface index of dst's zone in its lower half, and in
	// its upper half the generation in which it was looked up. 0: not yet.
	zone atomic.Uint64

	// unjoined says in which generation the way to dst refused joined packets.
	unjoined atomic.Uint64
}

var _ conn.Endpoint = (*Endpoint)(nil)

// ClearSrc forgets the source: from now on the kernel chooses.
func (e *Endpoint) ClearSrc() { e.cleared.Store(true) }

// source returns the source to send from: none if it was cleared, or became
// doubtful by a change to the host's network.
func (e *Endpoint) source() source {
	if e.cleared.Load() || e.learned != e.gen.now() {
		return source{}
	}
	return e.src
}

// SrcIP returns the address that packets to this endpoint leave from, invalid
// if the kernel chooses.
func (e *Endpoint) SrcIP() netip.Addr { return e.source().addr }

// SrcToString returns SrcIP as text, empty if the kernel chooses.
func (e *Endpoint) SrcToString() string {
	if addr := e.SrcIP(); addr.IsValid() {
		return addr.String()
	}
	return ""
}

// DstIP returns the peer's address, with its zone if it has one.
func (e *Endpoint) DstIP() netip.Addr { return e.dst.Addr() }

// DstAddrPort returns the peer's address and port.
func (e *Endpoint) DstAddrPort() netip.AddrPort { return e.dst }

// DstToString returns the peer's address and port as text.
func (e *Endpoint) DstToString() string { return e.dst.String() }

// DstToBytes returns the peer's address and port as bytes, to compute cookies
// from.
func (e *Endpoint) DstToBytes() []byte {
	b, err := e.dst.MarshalBinary()
	if err != nil {
		panic(err) // it never fails, says net/netip
	}
	return b
}

// zoneIndex returns the index of the interface that dst's zone names, 0 if it
// has none. The name is looked up again after each change to the host's
// network, for an interface that is made anew gets another index.
func (e *Endpoint) zoneIndex() (uint32, error) {
	name := e.dst.Addr().Zone()
	if name == "" {
		return 0, nil
	}
	gen := e.gen.now()
	if cached := e.zone.Load(); cached != 0 && uint32(cached>>32) == gen {
		return uint32(cached), nil
	}
	index, err := lookupZone(name)
	if err != nil {
		return 0, err
	}
	e.zone.Store(packZone(gen, index))
	return index, nil
}

func packZone(gen, index uint32) uint64 { return uint64(gen)<<32 | uint64(index) }

func lookupZone(name string) (uint32, error) {
	if iface, err := net.InterfaceByName(name); err == nil {
		return uint32(iface.Index), nil
	}
	if index, err := strconv.ParseUint(name, 10, 31); err == nil && index != 0 {
		return uint32(index), nil
	}
	return 0, fmt.Errorf("look up zone %q: %w", name, unix.ENODEV)
}

// zoneName returns the name of an interface, or its index as text if it is
// gone by now.
func zoneName(index uint32) string {
	if iface, err := net.InterfaceByIndex(int(index)); err == nil {
		return iface.Name
	}
	return strconv.FormatUint(uint64(index), 10)
}

// endpointKey is all that the kernel says about where a packet came from and
// what it came to.
type endpointKey struct {
	remote netip.Addr
	port   uint16
	zone   uint32
	local  source
}

// maxEndpoints bounds how many Endpoints a cache holds, since anyone who can
// spoof addresses can fill it.
const maxEndpoints = 4096

// endpointCache remembers the Endpoints of a socket, so that a packet from a
// known sender needs no new one. It is not safe for concurrent use.
type endpointCache struct {
	gen     *generation
	known   map[endpointKey]*Endpoint
	lastKey endpointKey
	last    *Endpoint
}

// get returns an Endpoint for k whose source is good to use.
func (c *endpointCache) get(k endpointKey) *Endpoint {
	if c.last != nil && c.lastKey == k && c.fresh(c.last) {
		return c.last
	}
	e, ok := c.known[k]
	if !ok || !c.fresh(e) {
		if c.known == nil || len(c.known) >= maxEndpoints {
			c.known = make(map[endpointKey]*Endpoint)
		}
		e = newEndpoint(k, c.gen)
		c.known[k] = e
	}
	c.lastKey, c.last = k, e
	return e
}

func (c *endpointCache) fresh(e *Endpoint) bool {
	return e.learned == c.gen.now() && !e.cleared.Load()
}

func newEndpoint(k endpointKey, g *generation) *Endpoint {
	e := &Endpoint{src: k.local, gen: g, learned: g.now()}
	addr := k.remote
	if k.zone != 0 {
		addr = addr.WithZone(zoneName(k.zone))
		e.zone.Store(packZone(e.learned, k.zone))
	}
	e.dst = netip.AddrPortFrom(addr, k.port)
	return e
}
