package probe

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Lane is one of the recorder's independent rings. Producers of different
// lanes share no lock.
type Lane uint8

// One lane for each seam, and one for all that is rare and must not be pushed
// out by bulk data: handshakes, endpoint changes, drops, ICMP errors. That of the
// forwarder, which few nodes have, is smaller.
const (
	LaneTUNRead Lane = iota
	LaneTUNWrite
	LaneUDPSend
	LaneUDPReceive
	LaneControl
	LaneForward
	numLanes
)

const (
	eventSize   = int(unsafe.Sizeof(Event{}))
	blockEvents = 64 // 8 KiB a block
	minBlocks   = 8

	forwardShare = 8 // of the other lanes' blocks the forwarder has one in so many

	// DefaultRecorderBytes is the memory that a node gives its flight
	// recorder unless told otherwise: some 130,000 events.
	DefaultRecorderBytes = 16 << 20
	// MinRecorderBytes is the least that NewRecorder accepts.
	MinRecorderBytes = int(numLanes) * minBlocks * blockEvents * eventSize
)

// Recorder is the flight recorder: it always holds the latest events in a
// fixed amount of memory. All methods are safe for concurrent use.
//
// A lane is a ring of blocks. A producer appends to the lane's newest block
// and publishes what it wrote with one atomic store; a reader copies only what
// is published. The two can meet only when the ring comes round and a
// producer wants to reuse a block that a reader is copying at that moment.
// Then the producer skips that block and takes the next: it never waits for a
// reader.
type Recorder struct {
	lanes   [numLanes]lane
	waiting atomic.Int32 // subscriptions that sleep until the next event
	mu      sync.Mutex
	subs    map[*Subscription]struct{}
}

type lane struct {
	mu   sync.Mutex    // serialises the producers of this lane
	fill uint32        // guarded by mu: events written to cur
	seq  uint64        // guarded by mu: Seq of the latest event
	cur  *block        // guarded by mu: the block that is being filled
	last atomic.Uint64 // Seq of the latest published event
	r    *Recorder

	awaited atomic.Pointer[chan struct{}] // closed with the next event; nil: nobody waits, see Await

	counted bool // its blocks keep a Tally

	blocks  []block
	head    atomic.Uint64 // number of the block that is being filled
	lost    atomic.Uint64 // events that found every block taken
	scratch Event         // guarded by mu: takes what cannot be recorded

	_ [64]byte // the next lane is another processor's
}

// block is a stretch of a lane. Its events have consecutive Seqs, so that the
// lane's last tells which of them are published.
type block struct {
	mu     sync.Mutex // held by readers as they copy, by a producer to reuse the block
	number uint64     // guarded by mu: position of this block in the lane's history
	first  uint64     // guarded by mu: Seq of events[0]
	before Tally      // guarded by mu: of the lane's earlier blocks
	events [blockEvents]Event
}

// NewRecorder returns a recorder that takes about size bytes, at least
// [MinRecorderBytes].
func NewRecorder(size int) (*Recorder, error) {
	if size < MinRecorderBytes {
		return nil, fmt.Errorf("flight recorder of %d bytes: at least %d are needed", size, MinRecorderBytes)
	}
	r := &Recorder{subs: make(map[*Subscription]struct{})}
	all := size / (blockEvents * eventSize)
	fewer := max(all/(int(numLanes-1)*forwardShare+1), minBlocks)
	each := max((all-fewer)/int(numLanes-1), minBlocks)
	for i := range r.lanes {
		l, n := &r.lanes[i], each
		if Lane(i) == LaneForward {
			n = fewer
		}
		l.r, l.counted = r, Lane(i) != LaneUDPReceive
		l.blocks = make([]block, n)
		l.head.Store(1)
		l.cur = &l.blocks[1%n]
		l.cur.number, l.cur.first = 1, 1
	}
	return r, nil
}

// Bytes is the memory that the recorder's events take.
func (r *Recorder) Bytes() int {
	n := 0
	for i := range r.lanes {
		n += len(r.lanes[i].blocks)
	}
	return n * blockEvents * eventSize
}

// Recorded is the number of events recorded so far, over all lanes.
func (r *Recorder) Recorded() uint64 {
	var n uint64
	for i := range r.lanes {
		n += r.lanes[i].last.Load()
	}
	return n
}

// Lost is the number of events that could not be recorded at all, because
// readers held every block of a lane. (What a slow reader misses is counted by
// its own [Subscription].)
func (r *Recorder) Lost() uint64 {
	var n uint64
	for i := range r.lanes {
		n += r.lanes[i].lost.Load()
	}
	return n
}

// Batch records several events of one lane under one lock. It must be ended,
// soon, and not be copied. The zero Batch is not usable.
type Batch struct{ l *lane }

// Begin starts a batch. It holds the lane until [Batch.End], against other
// producers only.
func (r *Recorder) Begin(id Lane) Batch {
	l := &r.lanes[id]
	l.mu.Lock()
	return Batch{l}
}

// Next returns the place for the batch's next event, in which only Seq is set.
// The caller must not keep the pointer beyond the next call.
func (b *Batch) Next() *Event {
	l := b.l
	if l.fill >= blockEvents {
		return l.nextBlock()
	}
	e := &l.cur.events[l.fill]
	l.fill++
	l.seq++
	*e = Event{Seq: l.seq}
	return e
}

// nextBlock is Next at the end of a block.
func (l *lane) nextBlock() *Event {
	e := &l.scratch
	if l.advance() {
		e = &l.cur.events[0]
		l.fill = 1
	} else {
		l.lost.Add(1)
	}
	l.seq++
	*e = Event{Seq: l.seq}
	return e
}

// End publishes the batch's events.
func (b *Batch) End() {
	l := b.l
	l.last.Store(l.seq)
	l.mu.Unlock()
	l.announce()
	if l.r.waiting.Load() != 0 {
		l.r.wake()
	}
}

// Record records one event. Its Seq is set by the recorder and returned.
func (r *Recorder) Record(id Lane, e *Event) uint64 {
	b := r.Begin(id)
	p := b.Next()
	seq := p.Seq
	*p = *e
	p.Seq = seq
	b.End()
	return seq
}

// advance makes the oldest block the one to be filled, skipping those that a
// reader holds. It reports false if readers hold them all.
func (l *lane) advance() bool {
	l.last.Store(l.seq) // readers leave a block once head has moved on
	head := l.head.Load()
	for range len(l.blocks) - 1 {
		head++
		next := &l.blocks[head%uint64(len(l.blocks))]
		if !next.mu.TryLock() {
			continue
		}
		next.number, next.first = head, l.seq+1
		if l.counted {
			next.before = l.cur.before
			next.before.add(l.cur.events[:])
		}
		next.mu.Unlock()
		l.cur, l.fill = next, 0
		l.head.Store(head)
		return true
	}
	return false
}

// published returns the events of b that may be read. The caller holds b.mu.
func (l *lane) published(b *block) []Event {
	last := l.last.Load()
	if last < b.first {
		return nil
	}
	return b.events[:min(last-b.first+1, blockEvents)]
}

// cursor is a reader's position in a lane.
type cursor struct {
	block uint64
	index uint32
	next  uint64 // Seq that is expected next
	time  int64  // of the event before that
}

// latest is the position behind the newest event.
func (l *lane) latest() cursor {
	l.mu.Lock()
	defer l.mu.Unlock()
	return cursor{block: l.head.Load(), index: l.fill, next: l.seq + 1}
}

// oldest is a position before the oldest event that is still held.
func (l *lane) oldest() cursor {
	head := l.head.Load()
	c := cursor{block: 1}
	if n := uint64(len(l.blocks)); head > n {
		c.block = head - n + 1
	}
	return c
}

// pick appends to dst what is wanted of from, which is read where it was recorded:
// it must not be kept or changed.
type pick func(dst, from []Event) []Event

// read takes the events behind c, at most limit of them, appends what pick wants of
// them to dst, moves c, and returns whether there may be more and how many events
// were overwritten before they could be read.
func (l *lane) read(c *cursor, dst []Event, limit int, pick pick) (out []Event, more bool, lost uint64) {
	for limit > 0 {
		head := l.head.Load()
		if c.block > head {
			return dst, false, lost
		}
		b := &l.blocks[c.block%uint64(len(l.blocks))]
		b.mu.Lock()
		if b.number == c.block {
			events := l.published(b)
			if n := uint32(len(events)); c.index < n {
				take := events[c.index:min(n, c.index+uint32(limit))]
				if first := take[0].Seq; c.next != 0 && first > c.next {
					lost += first - c.next
				}
				dst = pick(dst, take)
				c.next, c.time = take[len(take)-1].Seq+1, take[len(take)-1].Time
				c.index += uint32(len(take))
				limit -= len(take)
				if c.index < n {
					b.mu.Unlock()
					return dst, true, lost
				}
			}
		}
		b.mu.Unlock()
		if c.block == head {
			return dst, limit == 0, lost
		}
		// head was read before the block, so the block had been left by
		// then: it is complete, was skipped, or has been reused since.
		c.block, c.index = c.block+1, 0
	}
	return dst, true, lost
}

// Find returns the event of a lane that has a Seq, as it was recorded, and reports false if it is not
// held any more. It looks at few blocks: all but those that were skipped are full.
func (r *Recorder) Find(id Lane, seq uint64) (e Event, ok bool) {
	l := &r.lanes[id]
	for number, oldest := l.head.Load(), l.oldest().block; number >= oldest && number > 0; {
		b := &l.blocks[number%uint64(len(l.blocks))]
		back := uint64(1)
		b.mu.Lock()
		if b.number == number {
			if b.first <= seq {
				if events := l.published(b); seq-b.first < uint64(len(events)) {
					e, ok = events[seq-b.first], true
				}
				b.mu.Unlock()
				return e, ok
			}
			back = (b.first - seq + blockEvents - 1) / blockEvents
		}
		b.mu.Unlock()
		number -= min(back, number)
	}
	return e, false
}

// Scan calls f for the events that a lane holds, as they were recorded, oldest
// first, until f returns false. f must not keep the pointer; while it runs, no
// producer can reuse the block that the event is in, though none waits for it.
func (r *Recorder) Scan(id Lane, f func(*Event) bool) {
	l := &r.lanes[id]
	for number := l.oldest().block; number <= l.head.Load(); number++ {
		b := &l.blocks[number%uint64(len(l.blocks))]
		b.mu.Lock()
		more := true
		if b.number == number {
			events := l.published(b)
			for i := range events {
				if more = f(&events[i]); !more {
					break
				}
			}
		}
		b.mu.Unlock()
		if !more {
			return
		}
	}
}
