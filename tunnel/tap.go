package tunnel

import (
	"math"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/wgnode/wgnode/probe"
)

// A tap keeps a copy of what passes the seams, for a while: events hold no
// content. It is a ring of blocks for each lane of the flight recorder, filled
// under the lane's lock and read by the event's Seq. Like the recorder it lets new
// content overwrite what is old, and a producer that meets its reader takes
// another block: it never waits. While nobody records, a batch of packets costs
// one look at a pointer.
const (
	tapBlock   = 128 << 10 // bytes; a packet of 64 KiB must have room
	tapEntries = 2048      // packets in a block, at most

	// Rings of headers hold some 50,000 packets, those of content a tenth of a
	// second at 1 Gbit/s.
	tapHeaderBytes  = 4 << 20
	tapContentBytes = 16 << 20

	// Handshake messages are kept always, as many as this: they are rare, and a
	// session cannot be decrypted without them.
	messagesKept = 512
)

// TapHeaders as a snaplen keeps the headers of inner packets.
const TapHeaders = -1

// tapOuter is the least that is kept of an encrypted packet. Nothing in there can
// be read, and Wireshark takes less than 33 bytes for a keepalive or for damaged.
const tapOuter = 48

// Tap is a running tap. Its methods are safe for concurrent use.
type Tap struct {
	t       *Tunnel
	snaplen int // bytes of each packet; TapHeaders
	rings   [probe.LaneControl]*tapRing
}

// Tap begins to keep the first snaplen bytes of each packet that passes, or
// [TapHeaders], or everything if snaplen is 0; of an encrypted packet at least 48
// bytes. Close must be called in the end.
func (t *Tunnel) Tap(snaplen int) *Tap {
	p := &Tap{t: t, snaplen: snaplen}
	if snaplen == 0 {
		p.snaplen = math.MaxInt
	}
	size := tapContentBytes
	if snaplen == TapHeaders {
		size = tapHeaderBytes
	}
	for lane := range p.rings {
		p.rings[lane] = newTapRing(size / tapBlock)
	}
	t.tapping.Lock()
	defer t.tapping.Unlock()
	taps := append(slices.Clone(t.tapped()), p)
	t.taps.Store(&taps)
	return p
}

// Close ends the tap.
func (p *Tap) Close() {
	p.t.tapping.Lock()
	defer p.t.tapping.Unlock()
	taps := slices.DeleteFunc(slices.Clone(p.t.tapped()), func(q *Tap) bool { return q == p })
	p.t.taps.Store(&taps)
}

// tapped returns the taps that are running.
func (t *Tunnel) tapped() taps {
	if p := t.taps.Load(); p != nil {
		return *p
	}
	return nil
}

// Content appends what was kept of an event's packet to dst: at the TUN seams its
// beginning, at the UDP seams that of the datagram's payload. It reports false if
// nothing was kept although it should have been: the packet is too old, came too
// fast, or passed before the tap was there.
func (p *Tap) Content(dst []byte, e *probe.Event) (content []byte, ok bool) {
	switch e.Seam {
	case probe.SeamDevice, probe.SeamForward, probe.SeamNone:
		return dst, true // no packet
	}
	lane := probe.LaneOf(e)
	if lane == probe.LaneControl {
		return p.t.messages.content(dst, e.Seq)
	}
	return p.rings[lane].content(dst, e.Seq)
}

// taps are those that are running; as a rule none.
type taps []*Tap

// inner keeps the packet of an event of a TUN seam. The caller holds the lane.
func (ts taps) inner(lane probe.Lane, seq uint64, pkt []byte) {
	for _, p := range ts {
		n := min(p.snaplen, len(pkt))
		if p.snaplen == TapHeaders {
			n = probe.HeaderLen(pkt)
		}
		p.rings[lane].put(seq, pkt[:n])
	}
}

// outer keeps the payload of an event of a UDP seam. The caller holds the lane.
func (ts taps) outer(lane probe.Lane, seq uint64, payload []byte) {
	for _, p := range ts {
		p.rings[lane].put(seq, payload[:min(max(p.snaplen, tapOuter), len(payload))])
	}
}

// end publishes what was put. It comes before the events are published.
func (ts taps) end(lane probe.Lane) {
	for _, p := range ts {
		r := p.rings[lane]
		r.cur.published.Store(r.cur.count)
	}
}

// tapRing is the content of one lane.
type tapRing struct {
	blocks []tapContent
	cur    *tapContent // guarded by the lane: the block that is being filled
	number uint64      // guarded by the lane: of that block
	head   atomic.Uint64
	before atomic.Uint64 // of the reader: the block in which it found something last
}

// tapContent is a block: packets behind each other, in order of Seq.
type tapContent struct {
	mu        sync.Mutex    // held by the reader as it copies, by a producer to reuse the block
	number    uint64        // guarded by mu; 0: never used
	published atomic.Uint32 // entries that may be read
	count     uint32        // guarded by the lane: entries
	fill      int           // guarded by the lane: bytes
	entries   [tapEntries]tapEntry
	bytes     [tapBlock]byte
}

type tapEntry struct {
	seq      uint64
	from, to uint32
}

func newTapRing(blocks int) *tapRing {
	r := &tapRing{blocks: make([]tapContent, blocks), number: 1}
	r.cur = &r.blocks[1%blocks]
	r.cur.number = 1
	r.head.Store(1)
	return r
}

func (r *tapRing) put(seq uint64, b []byte) {
	c := r.cur
	if c.count == tapEntries || c.fill+len(b) > tapBlock {
		c.published.Store(c.count)
		if !r.advance() {
			return // the readers have all blocks: this content is lost
		}
		c = r.cur
	}
	to := c.fill + copy(c.bytes[c.fill:], b)
	c.entries[c.count] = tapEntry{seq, uint32(c.fill), uint32(to)}
	c.fill = to
	c.count++
}

// advance makes the oldest block the one to be filled, but for one that is being
// read. It reports false if there is none.
func (r *tapRing) advance() bool {
	for range len(r.blocks) - 1 {
		r.number++
		next := &r.blocks[r.number%uint64(len(r.blocks))]
		if !next.mu.TryLock() {
			continue
		}
		next.number = r.number
		next.published.Store(0)
		next.count, next.fill = 0, 0
		next.mu.Unlock()
		r.cur = next
		r.head.Store(r.number)
		return true
	}
	return false
}

// content appends what was put with seq. The blocks are looked through from the
// one in which the previous content was found: events come in order, nearly.
func (r *tapRing) content(dst []byte, seq uint64) ([]byte, bool) {
	head, n := r.head.Load(), uint64(len(r.blocks))
	oldest := max(head, n) - n + 1
	at := min(max(r.before.Load(), oldest), head)
	for number := at; number <= head; number++ {
		out, where := r.blocks[number%n].content(dst, number, seq)
		if where == found {
			r.before.Store(number)
			return out, true
		}
		if where != behind && where != nowhere {
			break
		}
	}
	for number := at - 1; number >= oldest; number-- {
		out, where := r.blocks[number%n].content(dst, number, seq)
		if where == found {
			return out, true
		}
		if where != before && where != nowhere {
			break
		}
	}
	return dst, false
}

// place says where a packet is, seen from a block.
type place int

const (
	nowhere place = iota // the block is not the one that was meant, or empty
	before               // in an earlier one, if anywhere
	found
	missing // it would be in this one
	behind  // in a later one, if anywhere
)

// content is that of one block.
func (c *tapContent) content(dst []byte, number, seq uint64) ([]byte, place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries := c.entries[:c.published.Load()]
	if c.number != number || len(entries) == 0 {
		return dst, nowhere
	}
	i := sort.Search(len(entries), func(i int) bool { return entries[i].seq >= seq })
	switch {
	case i == len(entries):
		return dst, behind
	case entries[i].seq == seq:
		return append(dst, c.bytes[entries[i].from:entries[i].to]...), found
	case i == 0:
		return dst, before
	}
	return dst, missing
}

// messages keeps the latest handshake messages.
type messages struct {
	mu   sync.Mutex
	kept [messagesKept]keptMessage
	next int
}

type keptMessage struct {
	seq  uint64
	size uint8
	text [probe.LenInitiation]byte
}

// record records the event of a handshake message, and keeps the message.
func (m *messages) record(rec *probe.Recorder, e *probe.Event, msg []byte) (seq uint64) {
	m.mu.Lock() // until it is kept: a reader of the event may ask at once
	defer m.mu.Unlock()
	seq = rec.Record(probe.LaneControl, e)
	k := &m.kept[m.next]
	m.next = (m.next + 1) % messagesKept
	k.seq, k.size = seq, uint8(copy(k.text[:], msg))
	return seq
}

func (m *messages) content(dst []byte, seq uint64) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.kept {
		if k := &m.kept[i]; k.seq == seq && seq != 0 {
			return append(dst, k.text[:k.size]...), true
		}
	}
	return dst, false
}
