package udp

import (
	"slices"
	"unsafe"

	"golang.zx2c4.com/wireguard/conn"
)

const (
	// maxDatagram is no less than any UDP payload, joined ones included.
	maxDatagram = 1<<16 - 1

	// keptBacklog is how much memory, in bytes, an empty backlog keeps.
	keptBacklog = 1 << 20
)

// point says where in packets messages are to go, and returns how many they
// have room for.
func (r *receiver) point(packets [][]byte) (messages int) {
	// Of a caller that has fewer buffers than we want, all go to one message.
	r.width = min(r.layout.width, len(packets))
	r.aside = r.layout.join && len(packets[0]) < maxDatagram
	if r.aside {
		// Nor is there always room for what may come. The device never does
		// that.
		r.scratch = slices.Grow(r.scratch[:0], maxDatagram)
		r.width, packets = 1, [][]byte{r.scratch[:maxDatagram]}
	}
	messages = len(packets) / r.width
	r.pieces = min(r.layout.pieces(), r.width)
	for m := range messages {
		iovs := r.iovs[m*r.width:][:r.pieces]
		for i := range iovs {
			p := packets[m*r.width+i]
			iovs[i].Base = unsafe.SliceData(p)
			iovs[i].SetLen(min(len(p), r.layout.segment))
		}
		last := r.pieces - 1
		iovs[last].SetLen(len(packets[m*r.width+last]))
		r.msgs[m].Iov = &iovs[0]
		r.msgs[m].SetIovlen(r.pieces)
	}
	return messages
}

// place moves what was read to where the caller expects it, sets sizes and eps,
// and returns how many of them count.
func (r *receiver) place(packets [][]byte, sizes []int, eps []conn.Endpoint) (n int) {
	var sum seen
	clear(sizes[:r.count*r.width])
	for m := range r.count {
		t := r.train(m)
		if t.bytes == 0 {
			continue
		}
		sum.add(t)
		if r.aside {
			r.rest.add(t, r.scratch[:t.bytes])
			continue
		}
		from, to := m*r.width, (m+1)*r.width
		if r.rest.empty() && t.count() <= r.width {
			r.spread(packets[from:to], t)
			n = from + t.fill(sizes[from:to], eps[from:to])
			continue
		}
		// It has to wait, and later ones must not overtake it.
		r.scratch = r.gather(r.scratch[:0], packets[from:], t.bytes)
		r.rest.add(t, r.scratch)
	}
	// The buffers of those that wait are free by now.
	n += r.rest.handOut(packets[n:], sizes[n:], eps[n:])
	r.layout.learn(sum)
	return n
}

// train describes message m.
func (r *receiver) train(m int) train {
	t := train{bytes: r.size(m)}
	if t.bytes == 0 {
		return t
	}
	t.ep, t.segment = r.origin(m)
	if t.segment <= 0 || t.segment > t.bytes {
		t.segment = t.bytes
	}
	return t
}

// fill writes down the sizes of a train's packets and where they came from.
func (t train) fill(sizes []int, eps []conn.Endpoint) (n int) {
	for left := t.bytes; left > 0; n++ {
		sizes[n], eps[n] = min(t.segment, left), t.ep
		left -= sizes[n]
	}
	return n
}

// spread puts each packet of a message, which came to the first of packets, to
// the beginning of a buffer of its own. There are enough of them.
func (r *receiver) spread(packets [][]byte, t train) {
	segment, n := r.layout.segment, t.count()
	if r.pieces == 1 {
		segment = maxDatagram
	}
	switch {
	case t.segment == segment, n == 1 && t.bytes <= segment:
		return // they are there already
	case n == 1:
		r.gather(packets[0][:0], packets, t.bytes)
		return
	}
	rest := packets[0]
	if t.bytes > segment {
		r.scratch = r.gather(r.scratch[:0], packets, t.bytes)
		rest = r.scratch
	}
	rest = rest[:t.bytes]
	for _, p := range packets[:n] {
		rest = rest[copy(p, rest[:min(t.segment, len(rest))]):]
	}
}

// gather appends a message of so many bytes, which came to the first of
// packets, to b.
func (r *receiver) gather(b []byte, packets [][]byte, bytes int) []byte {
	for i, p := range packets[:r.pieces] {
		if i < r.pieces-1 {
			p = p[:min(len(p), r.layout.segment)]
		}
		piece := p[:min(len(p), bytes)]
		b = append(b, piece...)
		bytes -= len(piece)
	}
	return b
}

// backlog is what was received and not handed out yet.
type backlog struct {
	bytes  []byte
	trains []train
	next   int // the first train that is not handed out whole
	taken  int // bytes of it that are
	at     int // where in bytes the rest begins
}

func (b *backlog) empty() bool { return b.next == len(b.trains) }

func (b *backlog) add(t train, data []byte) {
	b.trains = append(b.trains, t)
	b.bytes = append(b.bytes, data...)
}

// handOut copies out packets until the caller's buffers are full.
func (b *backlog) handOut(packets [][]byte, sizes []int, eps []conn.Endpoint) (n int) {
	if b.empty() {
		return 0
	}
	for n < len(packets) && !b.empty() {
		t := b.trains[b.next]
		packet := b.bytes[b.at:][:min(t.segment, t.bytes-b.taken)]
		sizes[n], eps[n] = copy(packets[n], packet), t.ep
		if sizes[n] < len(packet) {
			sizes[n] = 0 // half a packet is of no use
		}
		n++
		b.at += len(packet)
		if b.taken += len(packet); b.taken == t.bytes {
			b.next, b.taken = b.next+1, 0
		}
	}
	if b.empty() {
		clear(b.trains) // lets go of their endpoints
		b.trains, b.bytes = b.trains[:0], b.bytes[:0]
		b.next, b.at = 0, 0
		if cap(b.bytes) > keptBacklog {
			b.bytes = nil
		}
	}
	return n
}
