package merge

import (
	"fmt"
	"math"
	"time"
)

// pair is two hosts that have messages in common, and how their clocks lie.
type pair struct {
	a, b   *host // a.index < b.index
	bounds bounds
	fit    fit
	common int
	exact  bounds // by all messages, of the second pass
}

// pairOf returns the pair of two hosts; nil if they have nothing in common.
func (m *merger) pairOf(x, y *host) *pair {
	if x.index > y.index {
		x, y = y, x
	}
	return m.pairs[[2]int8{x.index, y.index}]
}

// align finds from the samples how all clocks lie to that of the first host.
// Hosts that are not connected by messages keep their own time.
func (m *merger) align() {
	for i, a := range m.hosts {
		for _, b := range m.hosts[i+1:] {
			p := &pair{a: a, b: b}
			p.common = compare(a, b, p.bounds.forth) + compare(b, a, p.bounds.back)
			if p.common == 0 {
				continue
			}
			p.fit = p.bounds.fit()
			m.pairs[[2]int8{a.index, b.index}] = p
		}
	}
	for _, root := range m.hosts {
		if !root.aligned {
			root.aligned = true
			m.spread(root)
		}
	}
}

// spread aligns whatever has messages in common with those that are aligned.
func (m *merger) spread(root *host) {
	reached := []*host{root}
	root.group = root.index
	for len(reached) > 0 {
		from := reached[0]
		reached = reached[1:]
		for _, to := range m.hosts {
			p := m.pairOf(from, to)
			if to.aligned || p == nil || from == to {
				continue
			}
			to.aligned, to.group, to.toward = true, root.index, from
			if p.b == to {
				to.step = p.fit.toA
			} else {
				to.step = p.fit.toB
			}
			reached = append(reached, to)
		}
	}
}

// toB is A's time t as B's clock would show it, by the line in the middle.
func (f *fit) toB(t int64) int64 {
	// With B's time x from the origin: t = x - off - rate*x.
	x := (float64(t-f.t0+f.d0) + f.midOff) / (1 - f.mid)
	return f.t0 + int64(x)
}

// reference is a time of h's clock as the first host's of its group would show it.
func (h *host) reference(t int64) int64 {
	for at := h; at.toward != nil; at = at.toward {
		t = at.step(t)
	}
	return t
}

// Clock is how one host's clock lies to another's: what the messages between them
// leave possible.
type Clock struct {
	Host string `json:"host"` // whose clock it is
	To   string `json:"to"`   // compared with whose
	// Offset is how far it is ahead, in nanoseconds, in the middle of the time in
	// which messages passed: at least and at most. A side that nothing bounds is nil.
	Offset [2]*int64 `json:"offset_ns"`
	// Skew is how much faster it runs, in parts per million; nil as above.
	Skew [2]*float64 `json:"skew_ppm"`
	// RoundTrip is the shortest time that two messages, one each way, were under
	// way together, in nanoseconds; nil where messages went one way only. It does
	// not depend on the clocks.
	RoundTrip *int64 `json:"round_trip_ns"`
	// Messages is how many this rests on, one way and the other.
	Messages [2]int `json:"messages"`
	// Uneven is by how much the two clocks are off an even rate, in nanoseconds;
	// the bounds are wider by that.
	Uneven int64 `json:"uneven_ns,omitempty"`
	// Set: one of the clocks was set while this was recorded. Then nothing is
	// called lost between these hosts.
	Set bool `json:"set,omitempty"`
}

// clock words a pair's fit, at B's time t.
func (p *pair) clock(f *fit, t int64) Clock {
	c := Clock{Host: p.b.label(), To: p.a.label(), Messages: [2]int{f.forthN, f.backN}, Set: !f.even}
	lo, hi := f.at(t)
	c.Offset = [2]*int64{whole(lo), whole(hi)}
	if f.both && f.even {
		c.Skew = [2]*float64{rate(f.slow), rate(f.fast)}
	}
	if f.widened > 0 {
		c.Uneven = int64(f.widened)
	}
	if f.both && f.even {
		// The fastest of each way, at the same time: how far apart the bounds are.
		c.RoundTrip = whole(max(hi-lo, 0))
	}
	return c
}

// whole rounds to nanoseconds; nil if it is infinite.
func whole(x float64) *int64 {
	if math.IsInf(x, 0) || math.IsNaN(x) || math.Abs(x) > math.MaxInt64/2 {
		return nil
	}
	n := int64(math.Round(x))
	return &n
}

// rate is in parts per million; nil where nothing bounds it.
func rate(x float64) *float64 {
	if math.Abs(x) >= maxSkew {
		return nil
	}
	ppm := math.Round(x*1e6*1000) / 1000
	return &ppm
}

// overlap says whether the recordings have any time in common, by the aligned
// clocks.
func (m *merger) overlap() error {
	for i, a := range m.hosts {
		for _, b := range m.hosts[i+1:] {
			if a.start() <= b.end() && b.start() <= a.end() {
				return nil
			}
		}
	}
	a, b := m.hosts[0], m.hosts[1]
	apart := b.start() - a.end()
	if apart < 0 {
		apart = a.start() - b.end()
	}
	err := fmt.Errorf("merge %s and %s: %w: no message is in both, and by the hosts' clocks %v lie between them",
		a.rec.name, b.rec.name, errUnrelated, time.Duration(apart).Round(time.Millisecond))
	return err
}
