//go:build linux

package droplist

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/drops"
)

// A connection of TCP that gets on has a segment dropped now and then, because it has it or because
// it is late. One that does not has the same segment sent, and dropped, again and again.
const (
	stuckDrops  = 3
	stuckFor    = time.Second
	maxSegments = 256
)

// segment is one of a connection, however often it is sent.
type segment struct {
	src, dst netip.AddrPort
	seq      uint32
}

// repeats are how often segments were dropped for usual reasons.
type repeats map[segment]repeat

type repeat struct {
	drops int
	since time.Time
}

// stuck reports whether a drop that is usual is listed: its connection does not get on.
func (r repeats) stuck(d *drops.Drop, e *probe.Event) bool {
	at := 4 + int(d.Header[0]&0x0f)*4 // of the header of TCP: the sequence number
	if d.Header[0]>>4 == 6 {
		at = 4 + 40
	}
	if at+4 > len(d.Header) {
		return false
	}
	s := segment{seq: binary.BigEndian.Uint32(d.Header[at:])}
	s.src, s.dst = e.Inner()
	n, known := r[s]
	if !known {
		if len(r) == maxSegments {
			clear(r) // what is stuck comes again
		}
		n.since = d.At
	}
	n.drops++
	r[s] = n
	return n.drops >= stuckDrops && d.At.Sub(n.since) >= stuckFor
}
