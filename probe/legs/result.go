package legs

import "github.com/wgnode/wgnode/probe"

// Report words what was tracked. All probes are settled by it: it comes last. The caller adds
// what a tracker does not know.
func (t *Tracker) Report() *Report {
	for len(t.order) > 0 {
		t.settle(t.order[0])
	}
	r := &Report{Level: t.series.Level, Probe: "icmp", PacketSize: t.length,
		Counts: t.counts, RTT: t.rtt.times(), Errors: t.said, Legs: []Leg{}}
	if t.series.Target.Port() != 0 {
		r.Probe = probe.ProtocolName(t.proto())
	}
	r.Loss = part(r.Sent-r.Answered, r.Sent)
	switch {
	case r.Sent == 0:
	case t.entered[atA1] == 0 && r.Answered > 0:
		r.Remarks = append(r.Remarks, "none of the probes was seen in the tunnel, and answers came: "+
			"either they go past it, or this host translates their source")
		return r
	case t.entered[atA1] == 0:
		r.Remarks = append(r.Remarks, "none of the probes was seen to enter the tunnel")
	}
	for _, w := range t.list() {
		if t.entered[w.from] > 0 {
			r.Legs = append(r.Legs, t.leg(w))
		}
	}
	if t.odd > 0 {
		r.Remarks = append(r.Remarks, "this host's clock was set meanwhile: the legs lack "+probe.Count(t.odd, "probe"))
	}
	return r
}

func (t *Tracker) leg(w way) Leg {
	l := Leg{From: placeNames[w.from], To: placeNames[w.to], Text: w.text, Entered: t.entered[w.from], RTT: t.legs[w.from][w.to].times()}
	for at := w.from; at < w.to; at++ {
		l.Lost += t.lost[at]
		for why, n := range t.dropped[at] {
			if l.Dropped == nil {
				l.Dropped = make(map[string]uint64)
			}
			l.Dropped[why] += n
		}
	}
	l.Loss = part(l.Lost, l.Entered)
	if l.RTT != nil && w.crosses() {
		l.Open = t.open
	}
	return l
}

func part(n, of uint64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}
