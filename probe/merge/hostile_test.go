package merge

import (
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/recording"
)

// What is exported here is for the tests of results that other packages read: the
// simulator needs the inside of this one.

// hostile reads events from bytes that somebody made up: 128 of each, in the form
// that recordings have, and one that says how many were lost before, or that the kernel has
// dropped the packet.
func hostile(b []byte) (log []logged) {
	const size = probe.EventSize + 1
	for ; len(b) >= size; b = b[size:] {
		var l logged
		l.SetBinary((*[probe.EventSize]byte)(b[1:]))
		l.lost = uint64(b[0] & 0x7f)
		if b[0]&0x80 != 0 {
			l.Seam, l.Checkpoint, l.Reason, l.lost = 0, probe.CheckpointNone, probe.ReasonNone, 0
			l.drop = &recording.Drop{Segment: evidence.Segment(b[0] & 7), KernelDrop: evidence.KernelDrop{At: l.When(), Count: 1,
				Reason: "TC_EGRESS", Place: "__dev_queue_xmit", Device: "\x1b[31m", Hint: b[0]&8 != 0, Packet: "\x1b"}}
		}
		log = append(log, l)
	}
	return log
}

func written(log []logged) (b []byte) {
	for i := range log {
		if d := log[i].drop; d != nil {
			b = append(b, 0x80|byte(d.Segment)&7)
		} else {
			b = append(b, byte(log[i].lost))
		}
		b, _ = log[i].AppendBinary(b)
	}
	return b
}

// Seed is what [MergeHostile] takes.
type Seed struct {
	A, B  []byte
	Flags uint16
}

// Seeds are of hosts whose clocks differ more and more.
func Seeds(t testing.TB) (seeds []Seed) {
	for _, ppm := range []float64{0, 300, 1e6} {
		w := newWorld(t, "a", "b")
		w.hosts[1].clock = skewed(37*time.Second, ppm)
		s := w.shake(0, 1)
		exchange(s, 6, func(k int, forth bool) fate { return fate{lost: k == 2, twice: k == 3, late: int64(k%2) * 2e7} })
		w.drops(1, 0, packet(0, 1, 40000, 80, probe.TCPSyn), evidence.FromTunnel, byTC)
		lost := probe.Event{Kind: probe.KindData, Receiver: s.toJ, Counter: 2, Peer: 1}
		w.drops(1, 0, lost, evidence.FromWire, byTC)
		seeds = append(seeds, Seed{written(w.hosts[0].log), written(w.hosts[1].log), uint16(ppm)})
	}
	return seeds
}

// MergeHostile merges recordings of two hosts whose events somebody made up. The
// flags say what else is wrong about them.
func MergeHostile(t testing.TB, a, b []byte, flags uint16) (*Result, error) {
	w := newWorld(t, "a", "b\x1b[31m")
	w.hosts[0].log, w.hosts[1].log = hostile(a), hostile(b)
	if flags&1 != 0 {
		w.start()
	}
	if flags&2 != 0 {
		w.end()
	}
	if flags&4 != 0 {
		m := &w.hosts[1].meta
		m.Peers = append(m.Peers, recording.Peer{ID: 2, PublicKey: simKey(1)}, recording.Peer{ID: 1, PublicKey: simKey(0)})
	}
	recs := w.recordings()
	if flags&8 != 0 { // not in order
		recs[0].open = func() (source, error) { return &sliceSource{events: hostile(a), end: w.hosts[0].end}, nil }
	}
	return merge(t.Context(), recs, Options{})
}

// MergeLossy merges recordings of hosts between which five of many messages are lost.
func MergeLossy(t testing.TB, nameA, nameB string) *Result {
	w := newWorld(t, nameA, nameB)
	w.start()
	w.now += second
	s := w.shake(0, 1)
	exchange(s, 500, func(k int, forth bool) fate { return fate{lost: forth && k%100 == 99, late: int64(k%50/49) * 25e6} })
	w.now += 3 * second
	w.end()
	return w.merge()
}
