package merge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
)

// exchange lets a's client ask b's service n times over, a request and a reply each
// 10 ms. what says what becomes of the k-th request and reply.
func exchange(s *wgSession, n int, what func(k int, forth bool) fate) {
	for k := range n {
		sport := uint16(40000 + k%5)
		flags := uint8(probe.TCPAck | probe.TCPPsh)
		if k < 5 {
			flags = probe.TCPSyn
		}
		s.data(s.i, packet(s.i, s.j, sport, 80, flags), true, what(k, true))
		s.w.now += 5e6
		s.data(s.j, packet(s.j, s.i, 80, sport, probe.TCPAck), false, what(k, false))
		s.w.now += 5e6
	}
}

func fine(int, bool) fate { return fate{} }

func the(t *testing.T, r *Result) *Flow {
	t.Helper()
	if len(r.Flows) != 1 {
		b, _ := json.MarshalIndent(r, "", " ")
		t.Fatalf("%d flows, want 1\n%s", len(r.Flows), b)
	}
	return &r.Flows[0]
}

// clocks are how b's may be off.
var clocks = map[string]func(int64) int64{
	"right":         skewed(0, 0),
	"37 s ahead":    skewed(37*time.Second, 200),
	"37 s behind":   skewed(-37*time.Second, -200),
	"a year behind": skewed(-365*24*time.Hour, 40),
}

// Lost, late and doubled messages are told apart, each by its number, whatever the
// clocks.
func TestFates(t *testing.T) {
	for name, clock := range clocks {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "a", "b")
			w.hosts[1].clock = clock
			w.start()
			w.now += second
			s := w.shake(0, 1)
			var lost []string
			twice, late := 0, 0
			exchange(s, 2000, func(k int, forth bool) (f fate) {
				counter := s.nextJ
				if !forth {
					counter = s.nextI
				}
				switch {
				case k%97 == 13 && forth, k%89 == 7 && !forth:
					f.lost = true
					leg, index := "A4-B3", s.toJ
					if !forth {
						leg, index = "B8-A5", s.toI
					}
					lost = append(lost, fmt.Sprintf("%s %d %d", leg, index, counter))
				case k%101 == 50:
					f.late = 25e6 // two later ones arrive before
					late++
				case k%103 == 60:
					f.twice = true
					twice++
				}
				return f
			})
			w.now += 3 * second
			w.end()
			r := w.merge()
			var got []string
			for _, l := range r.Lost {
				got = append(got, fmt.Sprintf("%s %d %d", l.Leg, l.Receiver, l.Counter))
			}
			slices.Sort(lost)
			slices.Sort(got)
			if !slices.Equal(got, lost) {
				t.Errorf("lost %v, want %v", got, lost)
			}
			f := the(t, r)
			var sum Leg
			for _, l := range []*Leg{&f.Hops[0].Forth, &f.Hops[0].Back} {
				sum.Lost += l.Lost
				sum.Duplicated += l.Duplicated
				sum.Reordered += l.Reordered
				sum.Unknown += l.Unknown
				sum.Unsent += l.Unsent
			}
			counts := [5]uint64{sum.Lost, sum.Duplicated, sum.Reordered, sum.Unknown, sum.Unsent}
			if want := [5]uint64{uint64(len(lost)), uint64(twice), uint64(late)}; counts != want {
				t.Errorf("lost, duplicated, reordered, unknown and unsent: %d, want %d", counts, want)
			}
			if !f.Verdict.Healthy() {
				t.Errorf("verdict %+v", f.Verdict)
			}
			if len(r.Remarks) != 0 {
				t.Errorf("remarks %q", r.Remarks)
			}
		})
	}
}

// The truth about the clocks and delays lies within the bounds, and these are no
// wider than the messages leave them.
func TestClockBounds(t *testing.T) {
	for _, ppm := range []float64{0, 200, -35.5} {
		w := newWorld(t, "a", "b")
		off := 37 * time.Second
		w.hosts[1].clock = skewed(off, ppm)
		w.start()
		s := w.shake(0, 1)
		for range 60 {
			exchange(s, 20, fine)
			w.now += 10 * second
		}
		w.end()
		mid := (epoch + w.now) / 2
		r := w.merge()
		c := r.Clocks[0]
		truth := w.hosts[1].clock(mid) - mid
		if c.Offset[0] == nil || c.Offset[1] == nil || *c.Offset[0] > truth || *c.Offset[1] < truth {
			t.Errorf("offset %v to %v, it is %d", deref(c.Offset[0]), deref(c.Offset[1]), truth)
		} else if wide := *c.Offset[1] - *c.Offset[0]; wide > 5e6 { // both ways take 2 ms at least
			t.Errorf("offset known to %v only", time.Duration(wide))
		}
		if c.Skew[0] == nil || c.Skew[1] == nil || *c.Skew[0] > ppm || *c.Skew[1] < ppm || *c.Skew[1]-*c.Skew[0] > 20 {
			t.Errorf("skew %v, it is %v", c.Skew, ppm)
		}
		d := the(t, r).Hops[0].Forth.Delay
		if d == nil || *d.Min[0] > 2_010_000 || *d.Min[1] < 2_000_000 || *d.Max[0] > 3_000_000 || *d.Max[1] < 2_990_000 {
			t.Errorf("delays %+v, they are 2 to 3 ms", d)
		}
		if c.RoundTrip == nil || *c.RoundTrip < 4_000_000 || *c.RoundTrip > 6_000_000 {
			t.Errorf("round trip %v", deref(c.RoundTrip))
		}
	}
}

func deref(p *int64) any {
	if p == nil {
		return nil
	}
	return *p
}

// Messages that go one way only bound the clocks from one side, and nothing else is
// claimed.
func TestOneWay(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.hosts[1].clock = skewed(time.Second, 0)
	w.start()
	w.now += second
	for range 3 {
		w.index++
		w.call(0, 1, w.index, fate{})
		w.now += 5 * second
	}
	w.end()
	c := w.merge().Clocks[0]
	if c.Offset[0] != nil || c.Offset[1] == nil || *c.Offset[1] < int64(time.Second) || c.Skew[0] != nil || c.RoundTrip != nil {
		t.Errorf("clock %+v", c)
	}
}

// A message that takes longer than the window is not lost.
func TestVeryLate(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.start()
	s := w.shake(0, 1)
	exchange(s, 2000, func(k int, forth bool) (f fate) {
		if forth && k == 100 {
			f.late = 9 * second
		}
		return f
	})
	w.now += 3 * second
	w.end()
	r := w.merge()
	if l := &the(t, r).Hops[0].Forth; len(r.Lost) != 0 || l.Lost != 0 || l.Arrived != 2000 || l.Unsent != 0 {
		t.Errorf("lost %d named %d, arrived %d, unsent %d", l.Lost, len(r.Lost), l.Arrived, l.Unsent)
	}
}

// Rekeying, an index that two hosts chose, and an address that changes on the way do
// not confuse it.
func TestRekeyRoamCollide(t *testing.T) {
	w := newWorld(t, "a", "hub", "c")
	w.hosts[2].clock = skewed(-5*time.Second, 100)
	w.start()
	w.now += second
	for round := range 4 {
		s, u := w.shake(0, 1), w.shake(2, 1)
		u.toI, u.toJ = s.toJ, s.toI // what c receives under is what the hub receives under from a, and the other way round
		w.index += 2
		for k := range 300 {
			f := fate{}
			if round >= 2 {
				f.from = netip.MustParseAddrPort("198.51.100.7:1234")
			}
			f.lost = k == 200
			s.data(0, packet(0, 1, 40000, 80, probe.TCPAck|probe.TCPPsh), true, f)
			w.now += 2e6
			s.data(1, packet(1, 0, 80, 40000, probe.TCPAck), false, fate{})
			u.data(2, packet(2, 1, 40000, 443, probe.TCPAck|probe.TCPPsh), true, fate{lost: k == 100})
			w.now += 2e6
			u.data(1, packet(1, 2, 443, 40000, probe.TCPAck), false, fate{})
			w.now += 2e6
		}
		w.now += 120 * second
	}
	w.now += 3 * second
	w.end()
	r := w.merge()
	if len(r.Lost) != 8 || len(r.Flows) != 2 {
		t.Fatalf("%d lost, %d flows", len(r.Lost), len(r.Flows))
	}
	for _, l := range r.Lost {
		if want := map[string]uint64{"a": 200, "c": 100}[l.From]; l.Counter != want || l.To != "hub" {
			t.Errorf("lost %+v", l)
		}
	}
	for _, l := range r.Links {
		if l.A != "a" || l.B != "hub" {
			continue
		}
		n := l.Translations[0]
		if n.Changes != 3 || n.SeenFrom.String() != "198.51.100.7:1234" || n.Source != "yes" || n.SentFrom != 51820 {
			t.Errorf("translation %+v", n)
		}
	}
}

func TestHubChain(t *testing.T) {
	w := newWorld(t, "a", "hub", "c")
	w.start()
	w.now += second
	s, u := w.shake(0, 1), w.shake(1, 2)
	for k := range 50 {
		p, q := packet(0, 2, 40000, 80, probe.TCPAck|probe.TCPPsh), packet(2, 0, 80, 40000, probe.TCPAck)
		s.data(0, p, true, fate{})
		w.now += 4e6
		u.data(1, p, true, fate{lost: k == 30})
		w.now += 4e6
		u.data(2, q, false, fate{})
		w.now += 4e6
		s.data(1, q, false, fate{})
		w.now += 4e6
	}
	w.now += 3 * second
	w.end()
	r := w.merge()
	f := the(t, r)
	if len(f.Hops) != 2 || f.Hops[0].A != "a" || f.Hops[0].B != "hub" || f.Hops[1].A != "hub" || f.Hops[1].B != "c" {
		t.Fatalf("hops %+v", f.Hops)
	}
	if f.Hops[0].Forth.Lost != 0 || f.Hops[1].Forth.Lost != 1 || r.Lost[0].From != "hub" || r.Lost[0].To != "c" {
		t.Errorf("lost %+v", r.Lost)
	}
	var way []string
	for _, g := range f.Ladder {
		way = append(way, g.Host+g.Checkpoint.String())
	}
	const want = "aA1 aA2 hubB1 hubB2 aA3 aA4 hubB3 hubB4 hubB5 hubA1 hubA2 cB1 cB2 hubA3 hubA4 " +
		"cB3 cB4 cB5 cB6 cB7 cB8 hubA5 hubA6 hubB6 hubB7 hubB8 aA5 aA6"
	if got := strings.Join(way, " "); got != want {
		t.Errorf("ladder %s\nwant   %s", got, want)
	}
}

func TestUnrelated(t *testing.T) {
	two := func() *world {
		w := newWorld(t, "a", "b")
		w.start()
		s := w.shake(0, 1)
		exchange(s, 50, fine)
		w.end()
		return w
	}
	strangers := two()
	for _, h := range strangers.hosts {
		h.meta.Peers = nil
	}
	strangers.hosts[1].log = nil
	apart := two()
	apart.hosts[1].meta.Clock.Started, apart.hosts[1].end.at = time.Unix(0, epoch+100*second), time.Unix(0, epoch+110*second)
	apart.hosts[1].log = nil
	same := two()
	same.hosts[1].meta.PublicKey = same.hosts[0].meta.PublicKey
	for name, c := range map[string]struct {
		w    *world
		want error
		says string
	}{
		"strangers":      {strangers, errUnrelated, "neither a nor b is a peer of the other"},
		"at other times": {apart, errUnrelated, "by the hosts' clocks 1m39"},
		"the same twice": {same, errSameKey, "a.pcapng and b.pcapng"},
	} {
		_, err := merge(t.Context(), c.w.recordings(), Options{})
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := merge(t.Context(), two().recordings()[:1], Options{}); !errors.Is(err, errOne) {
		t.Errorf("one recording: %v", err)
	}
}
