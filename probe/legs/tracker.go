package legs

import (
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
)

const (
	// kept bounds how many probes are remembered in full.
	kept = 1 << 17
	// mostSaid bounds how many different words of others are remembered.
	mostSaid = 32
	// unevenClock is by how much the wall clock may run otherwise than the one that is never
	// set, between a probe and its answer.
	unevenClock = int64(time.Millisecond)
)

// Series is what tells the packets of a series of probes from others.
type Series struct {
	Target netip.AddrPort // without a port: ICMP echo
	UDP    bool
	ID     uint16 // of the echoes
	// Level is how much is told of the tunnel's packets; "" for all.
	Level probe.Level
	// Keep has all probes kept for the events of the other host, which come at the end.
	Keep bool
}

// Tracker follows a series of probes. It is not safe for concurrent use.
type Tracker struct {
	series Series
	probes map[uint64]*tracked // by number
	byKey  map[uint16]*tracked // the latest of each key
	order  []uint64            // of probes, the oldest first
	counts Counts
	rtt    sums
	said   []Said
	length int // of a probe's packet
	outer  map[int]int

	legs    [places][places]sums
	entered [places]uint64
	lost    [places]uint64 // by the last place that it was seen at
	dropped [places]map[string]uint64
	odd     uint64 // probes whose legs the clock has spoiled
	far     bool   // there are events of the other host
	open    int64
	// unaligned: nothing is known of how the other host's clock lies.
	unaligned bool
	shared    map[uint16]bool   // keys that more than one of the probes has had
	pairs     map[uint64]paired // by number of the packet at its seam
	early     []probe.Event     // of this host, about packets of no probe that is known by now
}

// tracked is one probe.
type tracked struct {
	number   uint64
	key      uint16
	at       [places]int64 // wall clock; 0: not seen there
	rtt      int64
	answered bool
	reason   [places]probe.Reason // why it was dropped there
}

// Track begins to follow a series.
func Track(s Series) *Tracker {
	return &Tracker{series: s, probes: make(map[uint64]*tracked), byKey: make(map[uint16]*tracked), shared: make(map[uint16]bool),
		pairs: make(map[uint64]paired), outer: make(map[int]int)}
}

// SetID says which identifier the echoes have. It must be known before the first event.
func (t *Tracker) SetID(id uint16) { t.series.ID = id }

// Sent takes a probe: key is the sequence number of an echo, or the source port.
func (t *Tracker) Sent(number uint64, key uint16, at time.Time) {
	p := &tracked{number: number, key: key}
	p.at[atSent] = at.UnixNano()
	t.shared[key] = t.shared[key] || t.series.Keep && t.byKey[key] != nil
	t.probes[number], t.byKey[key] = p, p
	t.order = append(t.order, number)
	t.counts.Sent++
	if len(t.order) > kept {
		t.settle(t.order[0])
	}
}

// SentAt says when exactly a probe was sent: its events may have come by then.
func (t *Tracker) SentAt(number uint64, at time.Time) {
	if p := t.probes[number]; p != nil {
		p.at[atSent] = at.UnixNano()
		t.catchUp(p)
	}
}

// Answered takes the answer to a probe, which came in time.
func (t *Tracker) Answered(number uint64, at time.Time, took time.Duration, refused bool) {
	t.counts.Answered++
	if refused {
		t.counts.Refused++
	}
	t.rtt.add(int64(took))
	if p := t.probes[number]; p != nil {
		p.answered, p.rtt, p.at[atBack] = true, int64(took), at.UnixNano()
	}
}

// Late takes an answer that came when its probe counted as lost.
func (t *Tracker) Late(number uint64, at time.Time) {
	t.counts.Late++
	if p := t.probes[number]; p != nil {
		p.at[atBack] = at.UnixNano()
	}
}

// Duplicate counts an answer to what was answered already.
func (t *Tracker) Duplicate() { t.counts.Duplicates++ }

// Repeated counts a connection that came about by its second segment or a later one.
func (t *Tracker) Repeated() { t.counts.Repeated++ }

// Said takes what somebody says of a probe in place of an answer.
func (t *Tracker) Said(from netip.Addr, text string) {
	i := slices.IndexFunc(t.said, func(s Said) bool { return s.From == from && s.Text == text })
	if i < 0 && len(t.said) < mostSaid {
		t.said = append(t.said, Said{From: from, Text: text})
		i = len(t.said) - 1
	}
	if i >= 0 {
		t.said[i].Count++
	}
}

// Cut ends the series before its time: probes sent after a time that have no answer were still
// under way.
func (t *Tracker) Cut(after time.Time) {
	for _, number := range slices.Clone(t.order) {
		p := t.probes[number]
		if p.at[atSent] > after.UnixNano() && p.at[atBack] == 0 {
			t.counts.Sent--
			t.counts.Waiting++
			t.drop(p)
		}
	}
}

// paired is what was seen of a packet at one seam: when, or which probe it is about.
type paired struct {
	at    int64
	probe *tracked
}

// Event takes an event, of this host or of the other one. It reports which probe it is of, if
// it is of any.
func (t *Tracker) Event(e *probe.Event, far bool) (number uint64, seen bool) {
	if t.series.UDP {
		if number, seen = t.pair(e, far); seen {
			return number, true
		}
	}
	key, forth, ok := t.match(e)
	if !ok {
		if request, reply := e.ICMPEcho(); (request || reply) && !far && t.series.Target.Port() == 0 && t.series.ID == 0 {
			t.keepEarly(e) // whose they are is not known yet
		}
		return 0, false
	}
	at, ok := where(e, forth, far)
	p := t.byKey[key]
	if ok && p == nil && !far {
		t.keepEarly(e)
	}
	if !ok || p == nil || far && t.shared[key] { // the other host's come when all are over
		return 0, false
	}
	t.far = t.far || far
	if was := p.at[at]; was != 0 && was <= e.Time {
		return p.number, true // the first counts
	}
	p.at[at] = e.Time
	if e.Dropped() {
		p.reason[at] = e.Reason
	}
	switch at {
	case atA1:
		t.length = int(e.InnerLen)
	case atA4:
		t.outer[int(e.InnerLen)] = outerSize(e)
	}
	return p.number, true
}

// outerSize is the size of the packet that carries a message, with its headers.
func outerSize(e *probe.Event) int {
	const udp, ip4, ip6 = 8, 20, 40
	if e.OuterDst.Is4() {
		return int(e.OuterLen) + udp + ip4
	}
	return int(e.OuterLen) + udp + ip6
}

// pairsKept bounds how many packets are remembered that only another event of theirs tells of.
const pairsKept = 1024

// pair takes an ICMP error about a probe, which is told in full at the tunnel's interface only:
// the message that it came in, or goes out in, is found by the packet's number.
func (t *Tracker) pair(e *probe.Event, far bool) (number uint64, seen bool) {
	if len(t.pairs) >= pairsKept {
		clear(t.pairs)
	}
	_, _, _, quotes := e.Quoted()
	switch {
	case e.Seam == probe.SeamUDPReceive && !far && e.Proto != t.proto():
		t.pairs[e.Seq] = paired{at: e.Time}
	case e.Seam == probe.SeamTUNWrite && !far && quotes:
		key, _, ok := t.match(e)
		p, came := t.byKey[key], t.pairs[e.Pair]
		if !ok || p == nil || came.at == 0 {
			return 0, false
		}
		if p.at[atA5] == 0 {
			p.at[atA5] = came.at
		}
		return p.number, true
	case e.Seam == probe.SeamTUNRead && far && quotes:
		if key, _, ok := t.match(e); ok && t.byKey[key] != nil {
			t.pairs[e.Seq] = paired{probe: t.byKey[key]}
		}
	case e.Seam == probe.SeamUDPSend && far && t.pairs[e.Pair].probe != nil:
		if p := t.pairs[e.Pair].probe; p.at[atB8] == 0 {
			p.at[atB8] = e.Time
		}
	}
	return 0, false
}

// match finds out which probe a packet is of, by its key, and whether it is the answer.
func (t *Tracker) match(e *probe.Event) (key uint16, forth, ok bool) {
	if !e.HasAddrs() {
		return 0, false, false
	}
	src, dst := e.Inner()
	target := t.series.Target
	if target.Port() == 0 {
		request, reply := e.ICMPEcho()
		forth = request && dst.Addr() == target.Addr()
		back := reply && src.Addr() == target.Addr()
		return e.InnerDstPort, forth, (forth || back) && e.InnerSrcPort == t.series.ID
	}
	if proto, from, to, quotes := e.Quoted(); quotes { // a refusal by ICMP
		return from.Port(), false, proto == t.proto() && to == target
	}
	if e.Proto != t.proto() {
		return 0, false, false
	}
	if dst == target {
		return src.Port(), true, true
	}
	return dst.Port(), false, src == target
}

func (t *Tracker) proto() uint8 {
	if t.series.UDP {
		return probe.ProtoUDP
	}
	return probe.ProtoTCP
}

// Complete reports whether all events have come that there can be of this host: those of each
// probe that was answered.
func (t *Tracker) Complete() bool {
	for _, p := range t.probes {
		for _, w := range t.list() {
			if p.at[w.to] == 0 && (w.to <= atA4 || w.to >= atA5) {
				return false
			}
		}
	}
	return true
}

// Took is how long an answered probe was on the way to A1, from there to A4, from there to A5,
// and back to the socket. It reports whether all of that was seen.
func (t *Tracker) Took(number uint64) (legs [4]time.Duration, ok bool) {
	p := t.probes[number]
	if p == nil {
		return legs, false
	}
	if len(t.list()) < len(alone) {
		return legs, false
	}
	for i, w := range alone {
		from, to := p.at[w.from], p.at[w.to]
		if from == 0 || to == 0 {
			return legs, false
		}
		legs[i] = time.Duration(max(to-from, 0))
	}
	return legs, true
}

// Encrypted is the size of the packet outside of the tunnel that carries one of a size inside,
// 0 if none was seen.
func (t *Tracker) Encrypted(size int) int { return t.outer[size] }

// Clock tells how far the other host's clock is ahead at a time of it: at least and at most.
type Clock func(far int64) (lo, hi float64)

// Align turns the times of the other host into this one's. What the clocks leave open is told
// with the legs between the hosts. Without a clock these have no times.
func (t *Tracker) Align(clock Clock) {
	if t.unaligned = clock == nil; t.unaligned {
		return
	}
	for _, p := range t.probes {
		for at := atB3; at <= atB8; at++ {
			if p.at[at] == 0 {
				continue
			}
			lo, hi := clock(p.at[at])
			p.at[at] -= int64((lo + hi) / 2)
			t.open = max(t.open, int64((hi-lo)/2))
		}
	}
}

// Settle adds probes up that were sent before a time, but for those that are kept for the
// other host's events.
func (t *Tracker) Settle(before time.Time) {
	for !t.series.Keep && len(t.order) > 0 && t.probes[t.order[0]].at[atSent] < before.UnixNano() {
		t.settle(t.order[0])
	}
}

func (t *Tracker) drop(p *tracked) {
	delete(t.probes, p.number)
	if t.byKey[p.key] == p {
		delete(t.byKey, p.key)
	}
	if i := slices.Index(t.order, p.number); i >= 0 {
		t.order = slices.Delete(t.order, i, i+1)
	}
}

// settle adds a probe up, and forgets it.
func (t *Tracker) settle(number uint64) {
	p := t.probes[number]
	t.drop(p)
	last := atSent
	for at := atSent; at < places; at++ {
		if p.at[at] != 0 {
			t.entered[at]++
			last = at
		}
	}
	if !p.answered {
		t.lost[last]++
		if why := p.reason[last]; why != probe.ReasonNone {
			if t.dropped[last] == nil {
				t.dropped[last] = make(map[string]uint64)
			}
			t.dropped[last][why.String()]++
		}
		return
	}
	if d := p.at[atBack] - p.at[atSent] - p.rtt; d > unevenClock || d < -unevenClock {
		t.odd++
		return
	}
	for _, w := range ways {
		if from, to := p.at[w.from], p.at[w.to]; from != 0 && to != 0 && !(w.crosses() && t.unaligned) {
			t.legs[w.from][w.to].add(max(to-from, 0))
		}
	}
}
