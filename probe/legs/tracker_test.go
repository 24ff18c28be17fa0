package legs_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/legs"
)

var (
	client = netip.MustParseAddr("10.0.0.1")
	server = netip.MustParseAddr("10.0.0.2")
	epoch  = time.Unix(1700000000, 0)
)

// run is a series whose events are written down by hand.
type run struct {
	*legs.Tracker
	series legs.Series
}

func begin(s legs.Series) *run { return &run{legs.Track(s), s} }

func at(ms float64) time.Time { return epoch.Add(time.Duration(ms * float64(time.Millisecond))) }

// event is a packet of the probe with that key at a seam, forth or back.
func (r *run) event(seam probe.Seam, key uint16, forth bool, ms float64) *probe.Event {
	e := &probe.Event{Time: at(ms).UnixNano(), Seam: seam, InnerLen: 84, OuterLen: 128, Kind: probe.KindInner}
	from, to := netip.AddrPortFrom(client, key), r.series.Target
	if !forth {
		from, to = to, from
	}
	e.InnerSrc, e.InnerDst = probe.AddrFrom(from.Addr()), probe.AddrFrom(to.Addr())
	e.InnerSrcPort, e.InnerDstPort = from.Port(), to.Port()
	switch {
	case r.series.Target.Port() == 0:
		e.Proto, e.InnerSrcPort, e.InnerDstPort = probe.ProtoICMP, r.series.ID, key
		typ := uint8(8)
		if !forth {
			typ = 0
		}
		e.Info = typ
	case r.series.UDP:
		e.Proto = probe.ProtoUDP
	default:
		e.Proto = probe.ProtoTCP
	}
	return e
}

func (r *run) see(seam probe.Seam, key uint16, forth bool, ms float64, far bool) {
	r.Event(r.event(seam, key, forth, ms), far)
}

// passes has a probe and its answer come past all of this host's seams, and be answered.
func (r *run) passes(number uint64, key uint16, start float64) {
	r.Sent(number, key, at(start))
	r.see(probe.SeamTUNRead, key, true, start+1, false)
	r.see(probe.SeamUDPSend, key, true, start+3, false)
	r.see(probe.SeamUDPReceive, key, false, start+10, false)
	r.see(probe.SeamTUNWrite, key, false, start+11, false)
	r.Answered(number, at(start+15), 15*time.Millisecond, false)
}

func times(least, average, most, jitter float64) *legs.Times {
	ns := func(ms float64) int64 { return int64(ms * 1e6) }
	return &legs.Times{Least: ns(least), Average: ns(average), Most: ns(most), Jitter: ns(jitter)}
}

func one(ms float64) *legs.Times { return times(ms, ms, ms, 0) }

// wantLegs wants the legs to have lost so many, and to have taken so long.
func wantLegs(t *testing.T, r *legs.Report, lost []uint64, took []*legs.Times) {
	t.Helper()
	var gotLost []uint64
	var gotTook []*legs.Times
	for _, l := range r.Legs {
		gotLost, gotTook = append(gotLost, l.Lost), append(gotTook, l.RTT)
	}
	if d := cmp.Diff(lost, gotLost); d != "" {
		t.Errorf("lost on the legs: %s", d)
	}
	if d := cmp.Diff(took, gotTook); d != "" {
		t.Errorf("times of the legs: %s", d)
	}
}

var echo = legs.Series{Target: netip.AddrPortFrom(server, 0), ID: 77}

func TestLegs(t *testing.T) {
	for name, series := range map[string]legs.Series{
		"echo": echo,
		"tcp":  {Target: netip.AddrPortFrom(server, 443)},
		"udp":  {Target: netip.AddrPortFrom(server, 53), UDP: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := begin(series)
			r.passes(1, 4001, 0)
			r.passes(2, 4002, 1000)
			r.Sent(3, 4003, at(2000)) // never enters the tunnel
			r.Sent(4, 4004, at(3000))
			r.see(probe.SeamTUNRead, 4004, true, 3001, false) // stays in it
			r.Sent(5, 4005, at(4000))
			r.see(probe.SeamTUNRead, 4005, true, 4001, false)
			r.see(probe.SeamUDPSend, 4005, true, 4002, false) // and this is lost outside
			got := r.Report()
			if got.Sent != 5 || got.Answered != 2 || got.Loss != 0.6 {
				t.Errorf("%+v", got.Counts)
			}
			if d := cmp.Diff(one(15), got.RTT); d != "" {
				t.Error(d)
			}
			wantLegs(t, got, []uint64{1, 1, 1, 0}, []*legs.Times{one(1), one(2), one(7), one(5)})
		})
	}
}

// Events and probes come from different sources: what is seen of a probe that is not known yet is
// kept for it, so that no later packet of its connection is taken for the first.
func TestSeenBeforeKnown(t *testing.T) {
	r := begin(legs.Series{Target: netip.AddrPortFrom(server, 80)})
	r.see(probe.SeamTUNRead, 4000, true, 1, false)
	r.see(probe.SeamUDPSend, 4000, true, 3, false)
	r.see(probe.SeamTUNRead, 4001, true, 2, false) // another's
	r.Sent(1, 4000, at(5))
	r.SentAt(1, at(0))
	r.see(probe.SeamUDPReceive, 4000, false, 10, false)
	r.see(probe.SeamTUNWrite, 4000, false, 11, false)
	r.see(probe.SeamTUNRead, 4000, true, 12, false) // the client's acknowledgment
	r.see(probe.SeamUDPSend, 4000, true, 13, false)
	r.Answered(1, at(15), 15*time.Millisecond, false)
	wantLegs(t, r.Report(), []uint64{0, 0, 0, 0}, []*legs.Times{one(1), one(2), one(7), one(5)})
}

// What has another identifier, sequence number, port or address is not of the probes, whenever it
// passes, and what comes twice counts once.
func TestBoundToItsOwnPacket(t *testing.T) {
	r := begin(echo)
	r.Sent(1, 1, at(0))
	for _, other := range []*probe.Event{
		r.event(probe.SeamTUNRead, 2, true, 1),
		func() *probe.Event { e := r.event(probe.SeamTUNRead, 1, true, 1); e.InnerSrcPort++; return e }(),
		func() *probe.Event {
			e := r.event(probe.SeamTUNRead, 1, true, 1)
			e.InnerDst = probe.AddrFrom(client)
			return e
		}(),
		func() *probe.Event { e := r.event(probe.SeamTUNRead, 1, true, 1); e.Info = 13; return e }(),
	} {
		if _, seen := r.Event(other, false); seen {
			t.Errorf("%+v is taken for the probe", other)
		}
	}
	r.passes(2, 2, 100)
	r.see(probe.SeamUDPSend, 2, true, 900, false) // once more
	got := r.Report()
	wantLegs(t, got, []uint64{1, 0, 0, 0}, []*legs.Times{one(1), one(2), one(7), one(5)})
}

func TestDroppedByTheNode(t *testing.T) {
	r := begin(echo)
	r.Sent(1, 1, at(0))
	e := r.event(probe.SeamTUNRead, 1, true, 1)
	e.Reason = probe.NoEndpoint
	r.Event(e, false)
	got := r.Report()
	if d := cmp.Diff(map[string]uint64{"no-endpoint": 1}, got.Legs[1].Dropped); d != "" {
		t.Error(d)
	}
}

// Another host's clock is ahead by five seconds, give or take one millisecond.
func TestTwoHosts(t *testing.T) {
	series := echo
	series.Keep = true
	r := begin(series)
	far := func(seam probe.Seam, key uint16, forth bool, ms float64) { r.see(seam, key, forth, ms+5000, true) }
	r.passes(1, 1, 0)
	far(probe.SeamUDPReceive, 1, true, 5)
	far(probe.SeamTUNWrite, 1, true, 5.5)
	far(probe.SeamTUNRead, 1, false, 7)
	far(probe.SeamUDPSend, 1, false, 7.5)
	r.Sent(2, 2, at(1000)) // lost behind the other host
	r.see(probe.SeamTUNRead, 2, true, 1001, false)
	r.see(probe.SeamUDPSend, 2, true, 1002, false)
	far(probe.SeamUDPReceive, 2, true, 1003)
	far(probe.SeamTUNWrite, 2, true, 1004)
	r.Align(func(int64) (lo, hi float64) { return 4999e6, 5001e6 })
	got := r.Report()
	wantLegs(t, got, []uint64{0, 0, 0, 0, 1, 0, 0, 0},
		[]*legs.Times{one(1), one(2), one(2), one(0.5), one(1.5), one(0.5), one(2.5), one(5)})
	for i, l := range got.Legs {
		if want := map[int]int64{2: 1e6, 6: 1e6}[i]; l.Open != want {
			t.Errorf("%s to %s: open by %d ns, want %d", l.From, l.To, l.Open, want)
		}
	}
}

// Where nothing is known of the clocks, losses are told, and the ways between have no times.
func TestUnknownClocks(t *testing.T) {
	series := echo
	series.Keep = true
	r := begin(series)
	r.passes(1, 1, 0)
	r.see(probe.SeamUDPReceive, 1, true, 5005, true)
	r.see(probe.SeamTUNWrite, 1, true, 5006, true)
	r.Align(nil)
	wantLegs(t, r.Report(), []uint64{0, 0, 0, 0, 0, 0}, []*legs.Times{one(1), one(2), nil, one(1), nil, one(5)})
}

// A port that two probes had tells the other host's packets of one from those of the other no
// more.
func TestSharedPort(t *testing.T) {
	r := begin(legs.Series{Target: netip.AddrPortFrom(server, 443), Keep: true})
	r.passes(1, 4000, 0)
	r.passes(2, 4000, 1000)
	if _, seen := r.Event(r.event(probe.SeamUDPReceive, 4000, true, 1005), true); seen {
		t.Error("taken for one of them")
	}
}

func TestClockWasSet(t *testing.T) {
	r := begin(echo)
	r.passes(1, 1, 0)
	r.Sent(2, 2, at(1000))
	r.see(probe.SeamTUNRead, 2, true, 1001, false)
	r.Answered(2, at(4000), 2*time.Millisecond, false)
	got := r.Report()
	if got.Legs[0].RTT == nil || *got.Legs[0].RTT != *one(1) || len(got.Remarks) != 1 {
		t.Errorf("%+v, remarks %q", got.Legs[0].RTT, got.Remarks)
	}
}

// Answers without a packet in the tunnel say nothing of its legs.
func TestPastTheTunnel(t *testing.T) {
	r := begin(echo)
	r.Sent(1, 1, at(0))
	r.Answered(1, at(2), 2*time.Millisecond, false)
	if got := r.Report(); len(got.Legs) != 0 || len(got.Remarks) != 1 {
		t.Errorf("legs %+v, remarks %q", got.Legs, got.Remarks)
	}
}

// Of a kernel's device that tells less there are fewer legs, and nothing is said to be lost where
// it could not be seen.
func TestLevels(t *testing.T) {
	for level, want := range map[probe.Level][]*legs.Times{
		probe.LevelHalf:    {one(1), one(9), one(5)},
		probe.LevelCapture: {one(1), one(14)},
	} {
		series := echo
		series.Level = level
		r := begin(series)
		r.Sent(1, 1, at(0))
		r.see(probe.SeamTUNRead, 1, true, 1, false)
		if level == probe.LevelHalf {
			r.see(probe.SeamUDPReceive, 1, false, 10, false)
		}
		r.Answered(1, at(15), 15*time.Millisecond, false)
		if !r.Complete() {
			t.Errorf("%s: all that is told has come", level)
		}
		r.Sent(2, 2, at(1000))
		r.see(probe.SeamTUNRead, 2, true, 1001, false)
		lost := make([]uint64, len(want))
		lost[1] = 1
		wantLegs(t, r.Report(), lost, want)
	}
}

// A refusal by ICMP is told in full at the tunnel's interface only.
func TestRefusedByICMP(t *testing.T) {
	r := begin(legs.Series{Target: netip.AddrPortFrom(server, 53), UDP: true})
	r.Sent(1, 4001, at(0))
	r.see(probe.SeamTUNRead, 4001, true, 1, false)
	r.see(probe.SeamUDPSend, 4001, true, 3, false)
	came := &probe.Event{Time: at(10).UnixNano(), Seq: 9, Seam: probe.SeamUDPReceive, Kind: probe.KindData, Proto: probe.ProtoICMP,
		InnerSrc: probe.AddrFrom(server), InnerDst: probe.AddrFrom(client)}
	r.Event(came, false)
	wrote := &probe.Event{Time: at(11).UnixNano(), Pair: 9, Seam: probe.SeamTUNWrite, Kind: probe.KindInner, Proto: probe.ProtoICMP,
		InnerSrc: probe.AddrFrom(server), InnerDst: probe.AddrFrom(client)}
	wrote.Info, wrote.InnerSrcPort = 3, 3
	wrote.Quote(probe.ProtoUDP, 4001, netip.AddrPortFrom(server, 53))
	r.Event(wrote, false)
	r.Answered(1, at(15), 15*time.Millisecond, true)
	got := r.Report()
	wantLegs(t, got, []uint64{0, 0, 0, 0}, []*legs.Times{one(1), one(2), one(7), one(5)})
	if got.Refused != 1 {
		t.Errorf("%+v", got.Counts)
	}
}

func TestCounts(t *testing.T) {
	r := begin(echo)
	r.passes(1, 1, 0)
	r.Duplicate()
	r.Sent(2, 2, at(1000))
	r.Late(2, at(5000))
	r.Sent(3, 3, at(6000))
	r.Cut(at(5500)) // it may still be answered
	for range 100 {
		r.Said(server, "host unreachable")
	}
	got := r.Report()
	want := legs.Counts{Sent: 2, Answered: 1, Late: 1, Duplicates: 1, Waiting: 1, Loss: 0.5}
	if d := cmp.Diff(want, got.Counts); d != "" {
		t.Error(d)
	}
	if len(got.Errors) != 1 || got.Errors[0].Count != 100 {
		t.Errorf("%+v", got.Errors)
	}
}

// The jitter is that of ping(8): 1, 2, 3 and 6 ms have a mean of 3, and squares of 12.5.
func TestJitter(t *testing.T) {
	r := begin(echo)
	for i, ms := range []int64{1, 2, 3, 6} {
		r.Sent(uint64(i+1), uint16(i+1), at(0))
		r.Answered(uint64(i+1), at(float64(ms)), time.Duration(ms)*time.Millisecond, false)
	}
	if d := cmp.Diff(&legs.Times{Least: 1e6, Average: 3e6, Most: 6e6, Jitter: 1870829}, r.Report().RTT); d != "" {
		t.Error(d)
	}
}

// A long series is settled as it goes.
func TestSettle(t *testing.T) {
	r := begin(echo)
	for i := range uint64(200000) {
		r.passes(i+1, uint16(i), float64(i))
		r.Settle(at(float64(i) - 100))
	}
	got := r.Report()
	wantLegs(t, got, []uint64{0, 0, 0, 0}, []*legs.Times{one(1), one(2), one(7), one(5)})
	if got.Legs[3].Entered != 200000 {
		t.Errorf("%+v", got.Legs[3])
	}
}
