package account

import (
	"fmt"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/mirror"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
)

// newTest returns an accountant that is not running, for a device that is not there.
func newTest(t testing.TB) *Accountant {
	t.Helper()
	rec, err := probe.NewRecorder(probe.DefaultRecorderBytes)
	if err != nil {
		t.Fatal(err)
	}
	return New(rec, mirror.New(rec), tag.New())
}

func TestGapIndex(t *testing.T) {
	gaps := []gap{
		{peer: 1, state: tag.Inbound4, from: 50, to: 50},
		{peer: 2, state: tag.Inbound4, from: 12, to: 12},
		{peer: 1, state: tag.Outbound, from: 1, to: 100},
		{peer: 1, state: tag.Inbound4, from: 10, to: 19},
		{peer: 1, state: tag.Inbound6, from: 11, to: 11},
	}
	index := indexGaps(gaps, false)
	for _, c := range []struct {
		peer    probe.PeerID
		state   tag.State
		ordinal uint64
		want    int // -1: in none
	}{
		{peer: 1, state: tag.Inbound4, ordinal: 9, want: -1}, {peer: 1, state: tag.Inbound4, ordinal: 10, want: 3},
		{peer: 1, state: tag.Inbound4, ordinal: 19, want: 3}, {peer: 1, state: tag.Inbound4, ordinal: 20, want: -1},
		{peer: 1, state: tag.Inbound4, ordinal: 50}, {peer: 1, state: tag.Inbound4, ordinal: 51, want: -1},
		{peer: 2, state: tag.Inbound4, ordinal: 12, want: 1}, {peer: 2, state: tag.Inbound6, ordinal: 12, want: -1},
		{peer: 1, state: tag.Inbound6, ordinal: 11, want: 4}, {peer: 1, state: tag.Outbound, ordinal: 11, want: -1},
		{peer: 3, state: tag.Inbound4, ordinal: 10, want: -1},
	} {
		got, ok := index.find(gaps, gapWay{c.peer, c.state}, c.ordinal)
		if !ok {
			got = -1
		}
		if got != c.want {
			t.Errorf("peer %d, state %d, ordinal %d: gap %d, want %d", c.peer, c.state, c.ordinal, got, c.want)
		}
	}
}

// Notes are kept for a while, in bounded memory.
func TestNotes(t *testing.T) {
	var n notes[int]
	for i := range 5 * queue {
		n.put(packetID{ordinal: uint64(i)}, i)
	}
	if size := len(n.young) + len(n.old); size > 2*queue {
		t.Errorf("%d notes kept", size)
	}
	last := packetID{ordinal: 5*queue - 1}
	if v, ok := n.get(last); !ok || v != 5*queue-1 {
		t.Errorf("the latest note: %d, %v", v, ok)
	}
	n.forget()
	if _, ok := n.get(last); !ok {
		t.Error("forgotten at once")
	}
	n.forget()
	if _, ok := n.get(last); ok {
		t.Error("never forgotten")
	}
}

// BenchmarkSettle finds the events of as many gaps as the accountant takes on,
// in a full recorder.
func BenchmarkSettle(b *testing.B) {
	for _, n := range []int{1, queue} {
		b.Run(fmt.Sprintf("gaps=%d", n), func(b *testing.B) {
			a := newTest(b)
			for i := range 2000 {
				batch := a.rec.Begin(probe.LaneUDPReceive)
				for j := range 45 {
					e := batch.Next()
					e.Peer, e.Pair = probe.PeerID(1+i%4), uint64(i/4*45+j+1)
				}
				batch.End()
			}
			var gaps []gap
			for i := range n {
				at := 1 + uint64(i)*22500/queue
				gaps = append(gaps, gap{peer: probe.PeerID(1 + i%4), state: tag.Inbound4, from: at, to: at})
			}
			for b.Loop() {
				a.each(probe.LaneUDPReceive, gaps, false, func(*gap, *probe.Event) {})
			}
		})
	}
}

// BenchmarkSweep is what ten thousand peers with nothing to do cost ten times
// a second while others are busy.
func BenchmarkSweep(b *testing.B) {
	a := newTest(b)
	for i := range 10_000 {
		p := a.m.Peers.Ensure(key.Public{byte(i), byte(i >> 8), 2})
		p.Out.Entered.Store(7)
		p.Out.Left.Store(7)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !a.sweep() {
			b.Fatal("not quiet")
		}
	}
}

// A peer that the device stops while nothing waits for it has lost nothing.
func TestFlushOfNothing(t *testing.T) {
	a := newTest(t)
	p := a.m.Peers.Ensure(key.Public{1})
	p.Out.Entered.Store(5)
	p.Out.Left.Store(5)
	if a.Flushed(p.ID, probe.PeerRemoved); len(a.gaps) != 0 {
		t.Errorf("nothing waited, %+v is missing", a.gaps)
	}
	p.Out.Entered.Store(7)
	if a.Flushed(p.ID, probe.PeerRemoved); len(a.gaps) != 1 || a.gaps[0].from != 6 || a.gaps[0].to != 7 {
		t.Errorf("6 and 7 waited, %+v is missing", a.gaps)
	}
}

// Batches that the device sends in another order than it got them in are no
// drops.
func TestOvertakenPackets(t *testing.T) {
	a := newTest(t)
	p := a.m.Peers.Ensure(key.Public{1})
	p.Out.Entered.Store(30)
	send := func(first, last uint64) {
		d := Departures{peer: p.ID, state: tag.Outbound, first: first, last: last}
		d.Flush(a)
	}
	send(21, 30)
	send(11, 15)
	want := [][2]uint64{{1, 10}, {16, 20}}
	for i, g := range a.gaps {
		if i >= len(want) || g.from != want[i][0] || g.to != want[i][1] {
			t.Errorf("%d to %d are missing, want %v", g.from, g.to, want)
		}
	}
	a.due, a.gaps = a.gaps, nil
	send(1, 10)
	send(16, 20)
	for _, g := range a.due {
		if g.from <= g.to {
			t.Errorf("%d to %d are missing, though all have left", g.from, g.to)
		}
	}
}
