package probe

// Tally counts what passed each checkpoint: handshake messages, and packets of
// flows. It is indexed by [Checkpoint].
type Tally [NumCheckpoints]uint64

// add counts what of events passed a checkpoint at a seam. A keepalive is no
// packet of a flow, and what was dropped did not pass.
func (t *Tally) add(events []Event) {
	for i := range events {
		e := &events[i]
		if e.Reason == ReasonNone && e.Seam != SeamDevice && e.Kind != KindKeepalive {
			t[e.Checkpoint]++
		}
	}
}

// Passed counts what was recorded at each checkpoint since the recorder was
// made. It costs the producers nothing for each event: a lane counts a block
// when it leaves that, and what is in its newest block is counted here.
//
// A data message that has just been received is encrypted, so that nobody knows
// yet what it is. It counts at A5 or B3 once what was in it passes A6 or B4.
// B5 and B6 are seams only of a node without an interface, which counts what it
// writes to its host's sockets and reads from them.
func (r *Recorder) Passed() Tally {
	var sum Tally
	for i := range r.lanes {
		if !r.lanes[i].counted {
			continue // it says no more than that of TUN writes, and less surely
		}
		t := r.lanes[i].tally()
		for c := range t {
			sum[c] += t[c]
		}
	}
	sum[CheckpointNone], sum[A5], sum[B3] = 0, sum[A6], sum[B4]
	return sum
}

// tally counts what a lane holds and has held.
func (l *lane) tally() Tally {
	for {
		head := l.head.Load()
		b := &l.blocks[head%uint64(len(l.blocks))]
		b.mu.Lock()
		if b.number == head { // else it has been reused since
			t := b.before
			t.add(l.published(b))
			b.mu.Unlock()
			return t
		}
		b.mu.Unlock()
	}
}
