package merge

import (
	"math"
	"slices"
)

const (
	// maxSkew bounds how much faster one clock may be than the other. Quartz is
	// good to 100 ppm, and the kernel slews by 500 ppm at most (adjtimex(2)).
	maxSkew = 1000e-6
	// maxUneven is by how much clocks may be off an even rate, in nanoseconds,
	// before one of them counts as set anew while this was recorded.
	maxUneven = 20e6
	// hullKept bounds how many points a bound has. An even clock needs a few.
	hullKept = 2048
)

// point is a bound of the offset: it is at most, or at least, off at time t, both
// in nanoseconds from the bounds' origin.
type point struct{ t, off float64 }

// hull keeps those points of a bound that matter: the lower convex hull. Points
// come nearly in order of t.
type hull struct {
	points []point
	late   []point // came out of order, and are sorted in when asked
	n      int     // points that were added
}

func (h *hull) add(p point) {
	h.n++
	if n := len(h.points); n > 0 && p.t < h.points[n-1].t {
		if h.late = append(h.late, p); len(h.late) >= hullKept {
			h.settle()
		}
		return
	}
	h.push(p)
}

func (h *hull) push(p point) {
	s := h.points
	if n := len(s); n > 0 && s[n-1].t == p.t {
		if s[n-1].off <= p.off {
			return
		}
		s = s[:n-1]
	}
	for n := len(s); n > 1 && cross(s[n-2], s[n-1], p) <= 0; n = len(s) {
		s = s[:n-1]
	}
	if len(s) >= 2*hullKept { // no even clock: every other one bounds nearly as well
		kept := s[:0]
		for i := range s {
			if i%2 == 0 {
				kept = append(kept, s[i])
			}
		}
		s = kept
	}
	h.points = append(s, p)
}

// cross is positive if c lies above the line from a through b.
func cross(a, b, c point) float64 { return (b.t-a.t)*(c.off-a.off) - (b.off-a.off)*(c.t-a.t) }

// settle sorts in what came out of order.
func (h *hull) settle() {
	if len(h.late) == 0 {
		return
	}
	all := append(slices.Clone(h.points), h.late...)
	slices.SortFunc(all, func(a, b point) int {
		switch {
		case a.t < b.t:
			return -1
		case a.t > b.t:
			return 1
		case a.off < b.off:
			return -1
		case a.off > b.off:
			return 1
		}
		return 0
	})
	h.points, h.late = h.points[:0], h.late[:0]
	for _, p := range all {
		h.push(p)
	}
}

// bounds collects what is known of the offset of one clock from another: B's time
// minus A's, as a function of B's time.
type bounds struct {
	begun       bool
	t0, d0      int64 // the origin
	first, last int64 // B's times of messages
	upper       hull  // the offset is at most
	lower       hull  // the offset is at least; negated, so that it is a lower hull, too
}

// forth adds a message from A to B, and back one from B to A; times are those of
// the clocks where they were taken, in nanoseconds.
func (b *bounds) forth(sentA, gotB int64) {
	b.begin(gotB, gotB-sentA)
	b.upper.add(point{float64(gotB - b.t0), float64(gotB - sentA - b.d0)})
}

func (b *bounds) back(sentB, gotA int64) {
	b.begin(sentB, sentB-gotA)
	b.lower.add(point{float64(sentB - b.t0), -float64(sentB - gotA - b.d0)})
}

func (b *bounds) begin(t, d int64) {
	if !b.begun {
		b.begun, b.t0, b.d0, b.first, b.last = true, t, d, t, t
	}
	b.first, b.last = min(b.first, t), max(b.last, t)
}

// fit is the set of lines that bounds leave.
type fit struct {
	first, last   int64 // B's times of messages
	t0, d0        int64
	upper, lower  []point
	both          bool // there are bounds from both sides
	slow, fast    float64
	widened       float64 // by how much bounds had to give way, in nanoseconds
	even          bool    // a line was found
	forthN, backN int
	mid           float64 // rate of the line that stands for all
	midOff        float64 // and its offset at t0
}

// fit finds the lines. It is called once all bounds are known.
func (b *bounds) fit() fit {
	b.upper.settle()
	b.lower.settle()
	f := fit{t0: b.t0, d0: b.d0, first: b.first, last: b.last, upper: b.upper.points, lower: b.lower.points,
		forthN: b.upper.n, backN: b.lower.n}
	f.both = len(f.upper) > 0 && len(f.lower) > 0
	if !f.both {
		f.even = true
		f.slow, f.fast = -maxSkew, maxSkew
		switch {
		case len(f.upper) > 0:
			f.midOff = f.ceiling(0, 0)
		case len(f.lower) > 0:
			f.midOff = f.floor(0, 0)
		}
		return f
	}
	best := peak(-maxSkew, maxSkew, f.room)
	room := f.room(best)
	if room < 0 {
		f.widened = -room/2 + 1
	}
	f.even = f.widened <= maxUneven
	f.slow = edge(best, -maxSkew, func(s float64) bool { return f.room(s) >= 0 })
	f.fast = edge(best, maxSkew, func(s float64) bool { return f.room(s) >= 0 })
	f.mid = (f.slow + f.fast) / 2
	f.midOff = (f.ceiling(f.mid, 0) + f.floor(f.mid, 0)) / 2
	return f
}

// ceiling is the highest offset at time t of a line with rate s, floor the lowest,
// both from the origin.
func (f *fit) ceiling(s, t float64) float64 {
	c := math.Inf(1)
	for _, p := range f.upper {
		c = min(c, p.off+s*(t-p.t))
	}
	return c + f.widened
}

func (f *fit) floor(s, t float64) float64 {
	c := math.Inf(-1)
	for _, p := range f.lower {
		c = max(c, -p.off+s*(t-p.t))
	}
	return c - f.widened
}

// room is how far apart ceiling and floor are for a rate; negative if there is no
// such line.
func (f *fit) room(s float64) float64 { return f.ceiling(s, 0) - f.floor(s, 0) }

// at is the interval of the offset at B's time t, in nanoseconds; infinite where
// there is no bound.
func (f *fit) at(t int64) (lo, hi float64) {
	x := float64(t - f.t0)
	s := peak(f.slow, f.fast, func(s float64) float64 { return f.ceiling(s, x) })
	hi = f.ceiling(s, x) + float64(f.d0)
	s = peak(f.slow, f.fast, func(s float64) float64 { return -f.floor(s, x) })
	lo = f.floor(s, x) + float64(f.d0)
	return lo, hi
}

// known reports whether there is anything to go by.
func (f *fit) known() bool { return f.forthN+f.backN > 0 }

// toA is B's time t as A's clock would show it, by the line in the middle.
func (f *fit) toA(t int64) int64 {
	return t - f.d0 - int64(f.midOff+f.mid*float64(t-f.t0))
}

// peak finds where a concave function is largest between a and b.
func peak(a, b float64, value func(float64) float64) float64 {
	for range 100 {
		third := (b - a) / 3
		if third <= 1e-13 {
			break
		}
		if value(a+third) < value(b-third) {
			a += third
		} else {
			b -= third
		}
	}
	return (a + b) / 2
}

// edge finds the last point between from, where ok holds, and to, up to which it
// does.
func edge(from, to float64, ok func(float64) bool) float64 {
	if ok(to) {
		return to
	}
	for range 60 {
		mid := (from + to) / 2
		if ok(mid) {
			from = mid
		} else {
			to = mid
		}
	}
	return from
}
