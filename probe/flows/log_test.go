package flows

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe"
)

// filled is a log of n packets that enter the tunnel, a second apart from 1, and of a
// handshake each tenth.
func filled(limit, n int) *Log {
	l := NewLog(limit)
	for i := 1; i <= n; i++ {
		e := packet(int64(i)*second, probe.A1, probe.ProtoUDP, "10.0.0.1:4", "10.0.0.2:53")
		e.Seq = uint64(i)
		l.Add(&e, "")
		if i%10 == 0 {
			h := handshake(int64(i)*second, probe.A2)
			l.Add(&h, "")
		}
	}
	return l
}

func TestLogBecomesCoarser(t *testing.T) {
	l := filled(400, 1000)
	if l.Every() != 4 || len(l.Entries()) > 400 || l.Missing() != 0 {
		t.Errorf("1 of %d, %d entries, %d missing", l.Every(), len(l.Entries()), l.Missing())
	}
	handshakes := 0
	for _, e := range l.Entries() {
		if e.Kind == probe.KindInitiation {
			handshakes++
		}
	}
	if handshakes != 100 {
		t.Errorf("%d handshakes, want all 100", handshakes)
	}
	var sum Mark
	for _, m := range l.TimeLine(1*second, 1000*second, 7, nil) {
		sum.Packets, sum.Handshakes = sum.Packets+m.Packets, sum.Handshakes+m.Handshakes
	}
	if sum != (Mark{Packets: 1000, Handshakes: 100}) {
		t.Errorf("time line: %+v", sum)
	}
	// What is rare does not become less.
	rare := NewLog(10)
	for range 20 {
		h := handshake(1, probe.A2)
		rare.Add(&h, "")
	}
	if len(rare.Entries()) != 10 || rare.Missing() != 10 {
		t.Errorf("%d entries, %d missing", len(rare.Entries()), rare.Missing())
	}
}

func TestTimeLine(t *testing.T) {
	l := filled(0, 10)
	e := packet(3*second, probe.CheckpointNone, probe.ProtoUDP, "10.0.0.2:53", "10.0.0.1:4")
	l.Add(&e, "NETFILTER_DROP") // comes late
	first, last := l.Span()
	want := []Mark{{Packets: 5, Drops: 1}, {Packets: 5, Handshakes: 1}}
	if diff := cmp.Diff(want, l.TimeLine(first, last, 2, nil)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// Whatever times a file claims.
	l.Add(&probe.Event{Time: math.MinInt64}, "")
	l.Add(&probe.Event{Time: math.MaxInt64}, "")
	first, last = l.Span()
	l.TimeLine(first, last, 10, nil)
	if none, _ := NewLog(0).Span(); none != 0 {
		t.Errorf("span of nothing begins at %d", none)
	}
}

// Wherever one comes from, a table as of some time is the same.
func TestReplay(t *testing.T) {
	l := filled(0, 50)
	fresh := func(at int64) uint64 {
		r := l.Replay(Options{}, nil)
		r.To(at)
		return r.Table().Events()
	}
	r := l.Replay(Options{}, nil)
	for _, at := range []int64{0, 5 * second, 5*second - 1, 50 * second, 20 * second, 21 * second, 21 * second} {
		r.To(at)
		if got, want := r.Table().Events(), fresh(at); got != want {
			t.Errorf("at %d: %d events, want %d", at, got, want)
		}
	}
	if r.To(21*second) || !r.To(22*second) {
		t.Error("a change is not told, or told where there is none")
	}
	only := l.Replay(Options{}, func(e *Entry) bool { return e.Kind == probe.KindInitiation })
	only.To(50 * second)
	if n := only.Table().Events(); n != 5 {
		t.Errorf("%d events match, want 5", n)
	}
	if !slices.IsSortedFunc(l.Entries(), func(a, b Entry) int { return int(a.Time - b.Time) }) {
		t.Error("not in order")
	}
}

func BenchmarkEvent(b *testing.B) {
	t := New(Options{})
	e := packet(1, probe.A1, probe.ProtoUDP, "10.0.0.1:4", "10.0.0.2:53")
	b.ReportAllocs()
	for i := range b.N {
		e.InnerSrcPort, e.Time = uint16(i), int64(i)*1000
		t.Event(&e)
	}
}
