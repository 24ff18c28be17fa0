package merge

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/schema"
)

// Result is what several recordings tell together. Its JSON form is a public
// contract: keys may be added, none is renamed. Times are those of the first host's
// clock unless said otherwise.
type Result struct {
	Schema schema.Version            `json:"schema"`
	Hosts  diagnose.List[HostResult] `json:"hosts"`
	Clocks diagnose.List[Clock]      `json:"clocks"`
	Links  diagnose.List[Link]       `json:"links"`
	Flows  diagnose.List[Flow]       `json:"flows"`
	// FlowsLeftOut is how many packets were of flows beyond the number that is told
	// of.
	FlowsLeftOut int `json:"packets_of_other_flows,omitempty"`
	// Lost names the messages that were lost on the path; LostLeftOut counts those
	// for which there was no room.
	Lost        diagnose.List[Lost] `json:"lost"`
	LostLeftOut uint64              `json:"lost_left_out,omitempty"`
	// KernelDrops are packets that the hosts' kernels have dropped, as far as the recordings
	// have it; KernelDropsLeftOut counts those for which there was no room.
	KernelDrops        diagnose.List[Dropped] `json:"kernel_drops"`
	KernelDropsLeftOut uint64                 `json:"kernel_drops_left_out,omitempty"`
	// Remarks say what keeps the result from being complete.
	Remarks diagnose.List[string] `json:"remarks"`
}

// HostResult is one recording.
type HostResult struct {
	Name      string     `json:"name"`
	File      string     `json:"file"`
	Interface string     `json:"interface"`
	PublicKey key.Public `json:"public_key"`
	// Level is how much its recording tells of the tunnel's packets, as in a report of "explain".
	Level  probe.Level `json:"level,omitempty"`
	Start  time.Time   `json:"start"` // by its own clock
	End    time.Time   `json:"end"`
	Events int         `json:"events"`
	// Missing is how many events the recorder lost: they are not called lost on the
	// way.
	Missing  uint64 `json:"missing_events"`
	Filtered bool   `json:"filtered,omitempty"`
	// Elsewhere is how many messages went to peers that were not recorded, or cannot
	// be found there.
	Elsewhere uint64 `json:"to_others"`
}

// Link is two hosts that have messages for each other.
type Link struct {
	A string `json:"a"`
	B string `json:"b"`
	// Legs are the ways between them, by kind of message.
	Legs         diagnose.List[LinkLeg]     `json:"legs"`
	Translations diagnose.List[Translation] `json:"translations"`
	// Verdict is about the handshakes; nil where there is nothing to say.
	Verdict *diagnose.Verdict `json:"verdict,omitempty"`

	Arrows []*Arrow `json:"-"` // handshakes, for a picture
}

// LinkLeg is what became of one kind of message on the way from one host to
// another.
type LinkLeg struct {
	From string `json:"from"`
	To   string `json:"to"`
	What What   `json:"what"`
	Leg
}

// Flow is what became of the packets of one client to one service.
type Flow struct {
	Client  netip.Addr       `json:"client"`
	Target  string           `json:"target"` // with the port, if it has one
	Proto   string           `json:"proto"`
	Began   time.Time        `json:"began"`
	Verdict diagnose.Verdict `json:"verdict"`
	// Ladder has the checkpoints of all hosts in the order of the packet's way.
	Ladder diagnose.List[diagnose.Rung] `json:"ladder"`
	Hops   diagnose.List[Hop]           `json:"hops"`
}

// Hop is a flow between the two ends of one tunnel. Forth are its data messages from
// A4 to B3, and back those from B8 to A5.
type Hop struct {
	A         string            `json:"a"`
	B         string            `json:"b"`
	RecordedA bool              `json:"recorded_a"`
	RecordedB bool              `json:"recorded_b"`
	Forth     Leg               `json:"forth"`
	Back      Leg               `json:"back"`
	Passed    map[string]uint64 `json:"passed"`  // packets by checkpoint
	Dropped   map[string]int    `json:"dropped"` // packets by reason, at either host

	Arrows []*Arrow `json:"-"` // messages, for a picture
	Missed int      `json:"-"` // those that are not among them
}

// result words what the second pass has found.
func (m *merger) result() *Result {
	r := &Result{FlowsLeftOut: m.hopsLeft, LostLeftOut: m.lostLeft, KernelDropsLeftOut: m.dropsLeft}
	m.finishDelays()
	for _, h := range m.hosts {
		r.Hosts = append(r.Hosts, HostResult{Name: h.label(), File: h.rec.name, Interface: h.Interface, PublicKey: h.PublicKey,
			Level: cmp.Or(h.Level, probe.LevelDevice), Start: h.own(h.Clock.Started, h.scanned.first), End: h.ended(), Events: h.scanned.events,
			Missing: h.lost, Filtered: h.filtered(), Elsewhere: h.elsewhere})
	}
	r.Clocks = m.clocks()
	r.Links = m.links()
	r.Flows = m.flows()
	for i := range m.lost {
		if m.lost[i].What < whats {
			r.Lost = append(r.Lost, m.lost[i])
		}
	}
	r.KernelDrops = m.kernelDrops()
	r.Remarks = m.remarks()
	return r
}

// ended is when the recording ended, by the host's clock.
func (h *host) ended() time.Time { return h.own(h.endedAt, h.scanned.last) }

// own is a time of the host's clock, or else that of an event.
func (h *host) own(t time.Time, event int64) time.Time {
	if t.IsZero() {
		t = time.Unix(0, event)
	}
	return t.UTC()
}

// eachPair calls f for the pairs of hosts that have messages in common, in order.
func (m *merger) eachPair(f func(*pair)) {
	for _, a := range m.hosts {
		for _, b := range m.hosts[a.index+1:] {
			if p := m.pairOf(a, b); p != nil {
				f(p)
			}
		}
	}
}

func (m *merger) clocks() (clocks []Clock) {
	m.eachPair(func(p *pair) {
		exact := p.exact.fit()
		if !exact.known() {
			exact = p.fit
		}
		c := p.clock(&exact, exact.first/2+exact.last/2)
		c.RoundTrip = nil
		if trip, ok := m.trips[[2]int8{p.a.index, p.b.index}]; ok {
			c.RoundTrip = &trip
		}
		clocks = append(clocks, c)
	})
	return clocks
}

// raw is a reference time by the host's own clock.
func (h *host) raw(reference int64) int64 {
	// The clocks are nearly even, so that the way to the reference, taken back, is as
	// good as its reverse.
	t := reference
	for range 3 {
		t += reference - h.reference(t)
	}
	return t
}

// finishDelays words the delays of all legs, as the clocks leave them open.
func (m *merger) finishDelays() {
	for k, legs := range m.legs {
		below, above := m.open(k[0], k[1])
		for i := range legs {
			legs[i].finish(below, above)
		}
	}
	for _, f := range m.hops {
		for i := range f.legs {
			from, to := f.a, f.b
			if i == 1 {
				from, to = f.b, f.a
			}
			below, above := m.open(from, to)
			f.legs[i].finish(below, above)
		}
	}
}

// open says by how much delays that were taken by the middle line may be shorter
// and longer.
func (m *merger) open(from, to int8) (below, above float64) {
	if from < 0 || to < 0 || from == to {
		return math.Inf(1), math.Inf(1)
	}
	a, b := m.hosts[from], m.hosts[to]
	p := m.pairOf(a, b)
	if p == nil {
		return math.Inf(1), math.Inf(1)
	}
	exact := p.exact.fit()
	if !exact.known() {
		exact = p.fit
	}
	for _, raw := range []int64{exact.first, exact.last} {
		lo, hi := exact.at(raw)
		// The offset that was used: B's clock minus A's, by both hosts' references.
		used := float64(raw - p.aTime(raw))
		// Delays from A to B are longer if the offset is smaller.
		low, high := hi-used, used-lo
		if a != p.a {
			low, high = high, low
		}
		below, above = max(below, low), max(above, high)
	}
	return below, above
}

// aTime is the time of A's clock that was taken for B's time t: both have the same
// reference time.
func (p *pair) aTime(t int64) int64 { return p.a.raw(p.b.reference(t)) }

func (m *merger) links() (links []Link) {
	for _, a := range m.hosts {
		for _, b := range m.hosts[a.index+1:] {
			l := Link{A: a.label(), B: b.label(), Arrows: m.calls[[2]int8{a.index, b.index}]}
			for _, k := range [][2]int8{{a.index, b.index}, {b.index, a.index}} {
				legs := m.legs[k]
				for w := What(0); legs != nil && w < whats; w++ {
					if legs[w].any() {
						l.Legs = append(l.Legs, LinkLeg{m.hosts[k[0]].label(), m.hosts[k[1]].label(), w, legs[w]})
					}
				}
				if n := m.nat[k]; n != nil {
					l.Translations = append(l.Translations, *n)
				}
			}
			if len(l.Legs) == 0 && !a.knows(b.PublicKey) && !b.knows(a.PublicKey) {
				continue
			}
			l.Verdict = m.judgeLink(a, b)
			links = append(links, l)
		}
	}
	return links
}

// remarks say what keeps the result from being complete.
func (m *merger) remarks() (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, h := range m.hosts {
		if h.lost > 0 {
			say("the recording of %s lacks %d events that came faster than they could be kept; around them nothing is called lost",
				h.label(), h.lost)
		}
		if h.dropsMissed > 0 {
			say("the kernel of %s has dropped %d more packets that came too fast to be recorded one by one", h.label(), h.dropsMissed)
		}
		if h.filtered() {
			say("the recording of %s was made with a filter: what it lacks says nothing", h.label())
		}
		if h.scanned.events == 0 {
			say("the recording of %s is empty", h.label())
		}
	}
	m.eachPair(func(p *pair) {
		if !p.fit.even {
			say("a clock of %s and %s was set while they recorded: nothing between them is called lost", p.a.label(), p.b.label())
		}
		if p.a.begins > p.b.ends || p.b.begins > p.a.ends {
			say("the recordings of %s and %s do not overlap in time", p.a.label(), p.b.label())
		}
	})
	for i, a := range m.hosts {
		for _, b := range m.hosts[i+1:] {
			knows := a.knows(b.PublicKey) || b.knows(a.PublicKey)
			if m.pairOf(a, b) == nil && knows {
				say("no message is both in the recording of %s and in that of %s: how their clocks lie is what the hosts say",
					a.label(), b.label())
			}
			if through, shared := m.between(a, b); shared && m.pairOf(a, b) == nil && !knows {
				say("%s and %s have no message in common: what both saw of a flow through %s, which was not recorded, "+
					"is joined by its inner addresses and times (inferred)", a.label(), b.label(), m.nameOf(m.keys[through]))
			}
		}
		if alone := !slices.ContainsFunc(m.hosts, func(b *host) bool {
			_, shared := m.between(a, b)
			return a != b && (m.pairOf(a, b) != nil || a.knows(b.PublicKey) || b.knows(a.PublicKey) || shared)
		}); alone {
			say("the recording of %s has nothing in common with the others", a.label())
		}
	}
	if m.crowded > 0 {
		say("%d messages were forgotten before %v were over, for want of room: nothing is said of them", m.crowded, window)
	}
	return lines
}

// sortFlows puts faults first, and then what began first.
func sortFlows(flows []Flow) {
	rank := func(f *Flow) int {
		switch {
		case f.Verdict.Healthy():
			return 2
		case f.Verdict.Code == diagnose.Idle:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(flows, func(a, b Flow) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), a.Began.Compare(b.Began))
	})
}

// Healthy reports whether no verdict is a fault.
func (r *Result) Healthy() bool {
	fault := func(v *diagnose.Verdict) bool { return !v.Healthy() && v.Code != diagnose.Idle }
	for i := range r.Flows {
		if fault(&r.Flows[i].Verdict) {
			return false
		}
	}
	for i := range r.Links {
		if v := r.Links[i].Verdict; v != nil && fault(v) {
			return false
		}
	}
	return true
}

// counts are what passed and was dropped, by name.
func (f *hop) counts() (passed map[string]uint64, dropped map[string]int) {
	passed, dropped = make(map[string]uint64), make(map[string]int)
	for cp := range f.passed {
		if n := f.passed[cp].n; n > 0 {
			passed[probe.Checkpoint(cp).String()] = n
		}
	}
	for _, side := range f.drops {
		for reason, n := range side {
			dropped[reason.String()] += n
		}
	}
	return passed, dropped
}
