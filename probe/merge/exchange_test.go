package merge

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// Each rung of a ladder of two hosts is of the same packet: a request that is repeated for
// seconds, or one of several connections, does not look as if it took seconds on its way.
func TestLadderShowsOnePacket(t *testing.T) {
	for _, c := range []struct {
		name  string
		port  func(try int) uint16
		fates []fate
	}{
		{"repeated", func(int) uint16 { return 40000 }, make([]fate, 4)},
		{"the first is lost", func(int) uint16 { return 40000 }, []fate{{lost: true}, {}, {}}},
		{"several connections", func(try int) uint16 { return uint16(40000 + try) }, make([]fate, 40)},
	} {
		w := newWorld(t, "a", "b")
		w.start()
		w.now += second
		s := w.shake(0, 1)
		for try, f := range c.fates {
			s.data(s.i, packet(s.i, s.j, c.port(try), 80, probe.TCPSyn), true, f)
			w.now += second
		}
		w.end()
		f := the(t, w.merge())
		var at []time.Time
		for _, r := range f.Ladder {
			switch r.Checkpoint {
			case probe.A1, probe.A4, probe.B3, probe.B4:
				if r.Status == diagnose.Pass && !r.Time.IsZero() {
					at = append(at, r.Time)
				}
			}
		}
		if len(at) != 4 || at[3].Sub(at[0]).Abs() > 500*time.Millisecond {
			t.Errorf("%s: A1, A4, B3 and B4 at %v", c.name, at)
		}
	}
}

// An ICMP error belongs to the flow that it is about, not to another to the same port.
func TestErrorOfAnotherFlow(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.start()
	w.now += second
	s := w.shake(0, 1)
	servers := []netip.Addr{netip.MustParseAddr("192.168.200.23"), netip.MustParseAddr("192.168.200.22")}
	for _, to := range servers {
		p := packet(s.i, s.j, 40000, 80, probe.TCPSyn)
		p.InnerDst = probe.AddrFrom(to)
		s.data(s.i, p, true, fate{})
		w.now += second
	}
	e := packet(s.j, s.i, 0, 0, 0)
	e.Proto = probe.ProtoICMP
	e.SetICMP(3, 1)
	e.Kind = probe.KindInner
	e.Quote(probe.ProtoTCP, 40000, netip.AddrPortFrom(servers[0], 80))
	s.data(s.j, e, false, fate{})
	w.now += 5 * second
	w.end()
	for _, f := range w.merge().Flows {
		said := f.Verdict.Code == diagnose.NeighborUnreachable
		if about := f.Target == "192.168.200.23:80"; said != about {
			t.Errorf("%s: %s: %s", f.Target, f.Verdict.Code, f.Verdict.Summary)
		}
	}
}

// What passed before a probe does not count as the probe's: it arrived, the probe did not.
func TestSince(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.start()
	w.now += second
	s := w.shake(0, 1)
	s.data(s.i, packet(s.i, s.j, 40000, 80, probe.TCPSyn), true, fate{})
	w.now += second
	since := time.Unix(0, w.hosts[0].clock(w.now))
	for range 3 {
		w.now += second
		s.data(s.i, packet(s.i, s.j, 40001, 80, probe.TCPSyn), true, fate{lost: true})
	}
	w.now += 5 * second
	w.end()
	for _, test := range []struct {
		opt  Options
		want diagnose.Status
	}{{Options{}, diagnose.Pass}, {Options{Since: since}, diagnose.Fail}} {
		r, err := merge(t.Context(), w.recordings(), test.opt)
		if err != nil {
			t.Fatal(err)
		}
		f := the(t, r)
		for _, rung := range f.Ladder {
			if rung.Checkpoint == probe.B3 && rung.Status != test.want {
				t.Errorf("since %v: B3 %s (%s), want %s", test.opt.Since, rung.Status, rung.Detail, test.want)
			}
		}
	}
}
