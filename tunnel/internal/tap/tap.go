// Package tap keeps a copy of what passes the seams, for a while: events hold no
// content.
//
// A [Tap] is a ring of blocks for each lane of the flight recorder, filled under the
// lane's lock and read by the event's Seq. Like the recorder it lets new content
// overwrite what is old, and a producer that meets its reader takes another block: it
// never waits. While nobody records, a batch of packets costs one look at a pointer
// ([Set.Running]).
//
// Handshake messages are kept whether anybody records or not ([Set.Message]).
package tap

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/wgnode/wgnode/probe"
)

// Headers as a snaplen keeps the headers of inner packets.
const Headers = -1

// Rings of headers hold some 50,000 packets, those of content a tenth of a second at
// 1 Gbit/s.
const (
	headerBytes  = 4 << 20
	contentBytes = 16 << 20
)

// LeastOuter is the least that is kept of an encrypted packet. Nothing in there can
// be read, and Wireshark takes less than 33 bytes for a keepalive or for damaged.
const LeastOuter = 48

// Set is what a tunnel keeps of what passes: for taps, and of handshakes always.
type Set struct {
	rec      *probe.Recorder
	mu       sync.Mutex
	running  atomic.Pointer[Running] // nil or empty: nobody records; changed under mu
	messages messages
}

// New returns a set without taps, beside the recorder of the same events.
func New(rec *probe.Recorder) *Set { return &Set{rec: rec} }

// Tap is a running tap. Its methods are safe for concurrent use.
type Tap struct {
	set     *Set
	snaplen int // bytes of each packet; Headers
	rings   [probe.LaneControl]*ring
}

// Begin begins a tap of the first snaplen bytes of each packet, of [Headers], or of
// everything if snaplen is 0; of an encrypted packet of LeastOuter bytes at least.
func (s *Set) Begin(snaplen int) *Tap {
	p := &Tap{set: s, snaplen: snaplen}
	if snaplen == 0 {
		p.snaplen = math.MaxInt
	}
	size := contentBytes
	if snaplen == Headers {
		size = headerBytes
	}
	for lane := range p.rings {
		p.rings[lane] = newRing(size / blockBytes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := append(slices.Clone(s.Running()), p)
	s.running.Store(&all)
	return p
}

// Close ends the tap.
func (p *Tap) Close() {
	p.set.mu.Lock()
	defer p.set.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(p.set.Running()), func(q *Tap) bool { return q == p })
	p.set.running.Store(&rest)
}

// Running returns the taps that are running.
func (s *Set) Running() Running {
	if p := s.running.Load(); p != nil {
		return *p
	}
	return nil
}

// Content appends what was kept of an event's packet to dst, and reports whether all is
// there that should be.
func (p *Tap) Content(dst []byte, e *probe.Event) (content []byte, ok bool) {
	switch e.Seam {
	case probe.SeamDevice, probe.SeamForward, probe.SeamNone:
		return dst, true // no packet
	}
	lane := probe.LaneOf(e)
	if lane == probe.LaneControl {
		return p.set.messages.content(dst, e.Seq)
	}
	return p.rings[lane].content(dst, e.Seq)
}

// Running are the taps of one moment; as a rule none.
type Running []*Tap

// Inner keeps the packet of an event of a TUN seam. The caller holds the lane. The look
// whether there is a tap is inlined, as Outer is.
func (ts Running) Inner(lane probe.Lane, seq uint64, pkt []byte) {
	if len(ts) != 0 {
		ts.inner(lane, seq, pkt)
	}
}

func (ts Running) inner(lane probe.Lane, seq uint64, pkt []byte) {
	for _, p := range ts {
		n := min(p.snaplen, len(pkt))
		if p.snaplen == Headers {
			n = probe.HeaderLen(pkt)
		}
		p.rings[lane].put(seq, pkt[:n])
	}
}

// Outer keeps the payload of an event of a UDP seam. The caller holds the lane.
func (ts Running) Outer(lane probe.Lane, seq uint64, payload []byte) {
	for _, p := range ts {
		p.rings[lane].put(seq, payload[:min(max(p.snaplen, LeastOuter), len(payload))])
	}
}

// End publishes what was put. It comes before the events are published.
func (ts Running) End(lane probe.Lane) {
	for _, p := range ts {
		r := p.rings[lane]
		r.cur.published.Store(r.cur.count)
	}
}
