package merge

import (
	"math"
	"math/bits"

	"github.com/wgnode/wgnode/probe"
)

// Leg counts messages on the way from one host to another.
type Leg struct {
	Sent    uint64 `json:"sent"`    // that the sender recorded
	Arrived uint64 `json:"arrived"` // of these
	// Lost are those that left and did not arrive, although the receiver recorded
	// at the time.
	Lost uint64 `json:"lost"`
	// Unknown are those that may have arrived: the receiver's recording had not
	// begun, had ended, is filtered, or lacks events there.
	Unknown uint64 `json:"unknown"`
	// Refused are those that the sender's own host refused to send.
	Refused uint64 `json:"refused"`
	// Duplicated counts arrivals beyond the first, Reordered messages that one sent
	// later had overtaken.
	Duplicated uint64 `json:"duplicated"`
	Reordered  uint64 `json:"reordered"`
	// Unsent are arrivals that the sender did not record, Stray those among them
	// that its recording ought to have: somebody else sent them.
	Unsent uint64 `json:"unsent"`
	Stray  uint64 `json:"stray"`
	// Delay is nil where nothing arrived.
	Delay *Delay `json:"delay_ns"`

	hist histogram
}

// Delay is how long messages were under way, in nanoseconds: each figure at least
// and at most, as the clocks leave it open. A side that they do not bound is nil.
type Delay struct {
	Min    [2]*int64 `json:"min"`
	Median [2]*int64 `json:"median"`
	P95    [2]*int64 `json:"p95"`
	Max    [2]*int64 `json:"max"`
	// Variation is how much longer the slowest took than the fastest. It does not
	// depend on the clocks' offset.
	Variation int64 `json:"variation"`
}

// any reports whether anything was counted.
func (l *Leg) any() bool { return l.Sent+l.Unsent > 0 }

// finish words the delays. Those counted are by the clocks' middle line, which may
// be early by below and late by above, in nanoseconds.
func (l *Leg) finish(below, above float64) {
	h := &l.hist
	if h.n == 0 {
		return
	}
	between := func(ns int64) [2]*int64 {
		lo, hi := float64(ns)-below, float64(ns)+above
		return [2]*int64{whole(max(lo, 0)), whole(max(hi, 0))}
	}
	l.Delay = &Delay{Min: between(h.min), Median: between(h.quantile(0.5)), P95: between(h.quantile(0.95)),
		Max: between(h.max), Variation: h.max - h.min}
	if math.IsInf(below, 1) {
		for _, d := range []*[2]*int64{&l.Delay.Min, &l.Delay.Median, &l.Delay.P95, &l.Delay.Max} {
			d[0] = nil
		}
	}
}

// histogram counts delays in steps of about an eighth. It has a fixed size. By the
// middle line a delay may be negative.
type histogram struct {
	n        uint64
	min, max int64
	counts   [steps]uint32
}

// steps is the number of them.
const steps = 8 * 40

func (h *histogram) add(ns int64) {
	if h.n == 0 || ns < h.min {
		h.min = ns
	}
	if h.n == 0 || ns > h.max {
		h.max = ns
	}
	h.n++
	h.counts[stepOf(ns)]++
}

// stepOf is the place of a delay: eight steps for each doubling above 256 ns, and
// one for whatever is less.
func stepOf(ns int64) int {
	if ns < 256 {
		return 0
	}
	e := bits.Len64(uint64(ns)) - 9 // 0 for 256 to 511
	return min(1+8*e+int(uint64(ns)>>(e+5)&7), steps-1)
}

// upTo is the end of a step.
func upTo(step int) int64 {
	if step == 0 {
		return 256
	}
	e, part := (step-1)/8, int64((step-1)%8)
	return (8 + part + 1) << (e + 5)
}

func (h *histogram) quantile(q float64) int64 {
	rank, seen := uint64(math.Ceil(q*float64(h.n))), uint64(0)
	for i, n := range h.counts {
		if seen += uint64(n); seen >= rank {
			return max(min(upTo(i), h.max), h.min)
		}
	}
	return h.max
}

// recent counts the handshake messages of one initiator since its latest completed
// handshake.
type recent struct {
	epoch uint32
	forth tally // initiations
	back  tally // responses
}

// tally counts what became of messages.
type tally struct {
	sent, arrived, lost, unknown int
	reasons                      map[probe.Reason]int // why the receiver refused those that arrived
	from                         probe.Event          // the latest that arrived, as it was received
	why                          probe.Reason         // why the receiver refused that; none if it did not
	latest                       int64                // reference time at which the last that was lost was sent
}
