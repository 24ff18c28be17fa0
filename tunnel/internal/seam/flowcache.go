package seam

import (
	"encoding/binary"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/mirror"
)

// flowCacheBits is the logarithm of how many flows a flowCache holds: of those
// that are busy in one moment there are few.
const flowCacheBits = 8

// flowCache remembers the flows of the latest packets in one direction: their
// peer and prefix, and where the table of flows has noted them. It is not safe
// for concurrent use.
type flowCache struct {
	known    *probe.Flows
	outbound bool
	routes   mirror.RouteCache
	flows    [1 << flowCacheBits]cachedFlow
}

type cachedFlow struct {
	src, dst   probe.Addr
	ports      uint32
	proto      uint8
	v6         bool
	generation uint32       // of the AllowedIPs
	from       probe.PeerID // the peer that was known already, on the way out
	mirror.Route
	ref probe.FlowRef
}

func (c *flowCache) init(w *Watch, outbound bool) {
	c.known, c.outbound, c.routes.From = w.Flows, outbound, w.Mirror.Allowed
}

// find finds the prefix of the packet pkt, from which e was decoded, towards the
// tunnel also the peer, and reports whether its flow began on this side.
func (c *flowCache) find(e *probe.Event, pkt []byte, now int64) (here bool) {
	v6 := pkt[0]>>4 == 6
	ports := uint32(e.InnerSrcPort)<<16 | uint32(e.InnerDstPort)
	h := ports ^ binary.NativeEndian.Uint32(e.InnerSrc[12:]) ^ binary.NativeEndian.Uint32(e.InnerDst[12:])
	f := &c.flows[h*0x9e3779b1>>(32-flowCacheBits)]
	plain := tellsNothing(e, pkt, v6)
	generation := c.routes.From.Generation.Load()
	if plain && f.ports == ports && f.proto == e.Proto && f.v6 == v6 && f.generation == generation &&
		f.from == e.Peer && f.src == e.InnerSrc && f.dst == e.InnerDst {
		if here, ok := f.ref.Here(now); ok {
			e.PrefixBits = f.Bits
			if c.outbound {
				e.Peer = f.Peer
			}
			return here
		}
	}
	from := e.Peer
	if c.outbound {
		e.Peer, e.PrefixBits = c.routes.Lookup(&e.InnerDst, v6)
	} else {
		_, e.PrefixBits = c.routes.Lookup(&e.InnerSrc, v6)
	}
	k, quoted := c.known.Key(e, pkt)
	here, ref := c.known.Note(k, e, c.outbound, quoted, now)
	if plain {
		*f = cachedFlow{e.InnerSrc, e.InnerDst, ports, e.Proto, v6, generation, from, mirror.Route{Peer: e.Peer, Bits: e.PrefixBits}, ref}
	}
	return here
}

// tellsNothing reports whether a packet is one of many of its flow: it neither
// proves who began that, nor is it a fragment, of which others may follow.
func tellsNothing(e *probe.Event, pkt []byte, v6 bool) bool {
	if e.Flags&(probe.FlagFragment|probe.FlagTruncated) != 0 {
		return false
	}
	if v6 && pkt[6] != e.Proto || !v6 && binary.BigEndian.Uint16(pkt[6:])&0x3fff != 0 {
		return false
	}
	return e.Proto == probe.ProtoUDP || e.Proto == probe.ProtoTCP && e.Info&probe.TCPSyn == 0
}
