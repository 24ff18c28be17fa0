package tap

import (
	"sort"
	"sync"
	"sync/atomic"
)

const (
	blockBytes   = 128 << 10 // a packet of 64 KiB must have room
	blockEntries = 2048      // packets in a block, at most
)

// ring is the content of one lane.
type ring struct {
	blocks []block
	cur    *block // guarded by the lane: the block that is being filled
	number uint64 // guarded by the lane: of that block
	head   atomic.Uint64
	before atomic.Uint64 // of the reader: the block in which it found something last
}

// block has packets behind each other, in order of Seq.
type block struct {
	mu        sync.Mutex    // held by the reader as it copies, by a producer to reuse the block
	number    uint64        // guarded by mu; 0: never used
	published atomic.Uint32 // entries that may be read
	count     uint32        // guarded by the lane: entries
	fill      int           // guarded by the lane: bytes
	entries   [blockEntries]entry
	bytes     [blockBytes]byte
}

type entry struct {
	seq      uint64
	from, to uint32
}

func newRing(blocks int) *ring {
	r := &ring{blocks: make([]block, blocks), number: 1}
	r.cur = &r.blocks[1%blocks]
	r.cur.number = 1
	r.head.Store(1)
	return r
}

func (r *ring) put(seq uint64, b []byte) {
	c := r.cur
	if c.count == blockEntries || c.fill+len(b) > blockBytes {
		c.published.Store(c.count)
		if !r.advance() {
			return // the readers have all blocks: this content is lost
		}
		c = r.cur
	}
	to := c.fill + copy(c.bytes[c.fill:], b)
	c.entries[c.count] = entry{seq, uint32(c.fill), uint32(to)}
	c.fill = to
	c.count++
}

// advance makes the oldest block the one to be filled, but for one that is being
// read. It reports false if there is none.
func (r *ring) advance() bool {
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
func (r *ring) content(dst []byte, seq uint64) ([]byte, bool) {
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
func (c *block) content(dst []byte, number, seq uint64) ([]byte, place) {
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
