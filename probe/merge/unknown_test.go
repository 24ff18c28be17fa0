package merge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
)

// What a recording lacks for another reason is not called lost.

// What the recorder has lost is not called lost on the way.
func TestMissingEvents(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.start()
	w.now += second
	s := w.shake(0, 1)
	exchange(s, 3000, func(k int, forth bool) fate { return fate{unseen: forth && k >= 1000 && k < 1100} })
	w.now += 3 * second
	w.end()
	recs := w.recordings()
	log := w.hosts[1].log
	for i := range log { // told with the first event after the gap
		if e := &log[i]; e.Seam == probe.SeamUDPReceive && e.Counter == 1100 {
			e.lost = 200
			break
		}
	}
	r, err := merge(t.Context(), recs, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := the(t, r)
	if l := &f.Hops[0].Forth; l.Lost != 0 || l.Unknown != 100 {
		t.Errorf("lost %d, unknown %d, want 0 and 100", l.Lost, l.Unknown)
	}
	if r.Hosts[1].Missing != 200 || len(r.Remarks) != 1 || !strings.Contains(r.Remarks[0], "lacks 200 events") {
		t.Errorf("missing %d, remarks %q", r.Hosts[1].Missing, r.Remarks)
	}
}

// Nor is what passed before a recording began, or after its end.
func TestEndsEarlyBeginsLate(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.hosts[0].meta.Clock.Started = time.Unix(0, w.now)
	w.now += second
	s := w.shake(0, 1)
	exchange(s, 1000, fine)
	begin := w.now
	exchange(s, 1000, fine)
	end := w.now
	exchange(s, 1000, fine)
	w.end()
	b := w.hosts[1]
	b.meta.Clock.Started, b.end.at = time.Unix(0, begin), time.Unix(0, end)
	b.log = slices.DeleteFunc(b.log, func(l logged) bool { return l.Time < begin || l.Time > end })
	r := w.merge()
	l := &the(t, r).Hops[0].Forth
	if l.Lost != 0 || l.Arrived < 900 || l.Unknown < 1900 {
		t.Errorf("%+v", l)
	}
}

// Nor is what a filter left out.
func TestFiltered(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.start()
	s := w.shake(0, 1)
	exchange(s, 100, func(k int, _ bool) fate { return fate{unseen: k > 50} })
	w.now += 3 * second
	w.end()
	w.hosts[1].meta.Filter = []string{"tcp"}
	w.hosts[0].meta.Filter = []string{"tcp"}
	if r := w.merge(); len(r.Lost) != 0 || len(r.Remarks) != 2 {
		t.Errorf("lost %v, remarks %q", r.Lost, r.Remarks)
	}
}

// While a clock is set nothing is called lost.
func TestClockSet(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.start()
	s := w.shake(0, 1)
	exchange(s, 200, fine)
	steps := w.now
	w.hosts[1].clock = func(t int64) int64 {
		if t > steps {
			t += 40 * second
		}
		return t
	}
	exchange(s, 200, fine)
	w.now += 3 * second
	w.end()
	r := w.merge()
	if len(r.Lost) != 0 || !r.Clocks[0].Set {
		t.Errorf("lost %d, clock %+v", len(r.Lost), r.Clocks[0])
	}
}

// What the sender's own socket refused was not on the way.
func TestRefused(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.start()
	s := w.shake(0, 1)
	exchange(s, 100, func(k int, forth bool) (f fate) {
		if f.lost = forth && k == 50; f.lost {
			w.log(0, w.now+1000, probe.Event{Seam: probe.SeamDevice, Kind: probe.KindData, Peer: 2, Reason: probe.SendError, Info: 1})
		}
		return f
	})
	w.now += 3 * second
	w.end()
	r := w.merge()
	if l := &the(t, r).Hops[0].Forth; l.Refused != 1 || l.Lost != 0 {
		t.Errorf("refused %d, lost %d", l.Refused, l.Lost)
	}
}
