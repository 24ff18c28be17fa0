package flows

import (
	"cmp"
	"slices"

	"github.com/wgnode/wgnode/probe"
)

// The bounds of a table. That of peers is what a device takes; a recording may claim more.
const (
	DefaultFlows = 4096
	maxPeers     = 1 << 16
	maxReasons   = 256 // and each has its name from a table of the program or of a kernel
)

// Options are how a table counts. The zero Options are for all events of a tunnel.
type Options struct {
	MaxFlows int    // 0: DefaultFlows
	Every    uint64 // events are of one packet of so many, see [probe.Event.Sampled]; 0 and 1: of all
	Pace     Pace   // zero: a minute of seconds
}

// Peer is what was seen of one peer.
type Peer struct {
	ID        probe.PeerID
	Ladder    Ladder
	Drops     uint64
	Why       string // reason of the latest one that was dropped
	Handshake int64  // when one was completed last, as events tell it; Unix nanoseconds, 0: none was
	Last      int64  // the latest event
	Series    Series // of packets in the tunnel

	answered bool // a response was sent to it, and nothing has come since
}

// Reason counts what was dropped for one reason.
type Reason struct {
	Name   string
	Kernel bool // this host's kernel dropped them, and the name is its own
	Drops  uint64
	Last   int64
	Latest Key // flow of the latest one; zero if that is of none
}

// Table is the flows of one tunnel, by events in the order in which they come. It is not safe
// for concurrent use. What its methods return belongs to it.
type Table struct {
	opt     Options
	flows   map[Key]*Flow
	oldest  *Flow // of a list from the one that is silent longest to the latest
	newest  *Flow
	peers   map[probe.PeerID]*Peer
	reasons map[reasonKey]*Reason
	all     Series
	last    int64
	evicted uint64
	version uint64
	counted uint64
}

type reasonKey struct {
	name   string
	kernel bool
}

// New returns an empty table.
func New(o Options) *Table {
	if o.MaxFlows <= 0 {
		o.MaxFlows = DefaultFlows
	}
	if o.Pace.Interval <= 0 || o.Pace.Kept <= 0 {
		o.Pace = defaultPace
	}
	t := &Table{opt: o}
	t.Reset()
	return t
}

// Reset forgets everything.
func (t *Table) Reset() {
	*t = Table{opt: t.opt, version: t.version + 1, flows: make(map[Key]*Flow), peers: make(map[probe.PeerID]*Peer),
		reasons: make(map[reasonKey]*Reason)}
}

// SetEvery says of which packets the events are from now on.
func (t *Table) SetEvery(every uint64) { t.opt.Every = every }

// Version changes whenever something was counted.
func (t *Table) Version() uint64 { return t.version }

// Events is how many were counted.
func (t *Table) Events() uint64 { return t.counted }

// Last is the time of the latest event, in Unix nanoseconds.
func (t *Table) Last() int64 { return t.last }

// Forgotten is how many flows had to go for others.
func (t *Table) Forgotten() uint64 { return t.evicted }

// Event counts one.
func (t *Table) Event(e *probe.Event) {
	t.version++
	t.counted++
	t.last = max(t.last, e.Time)
	weight := weight(e, t.opt.Every)
	p := t.peer(e.Peer)
	if p != nil {
		p.Last = max(p.Last, e.Time)
		p.Ladder.add(e, weight)
		p.handshake(e)
	}
	if e.Dropped() {
		t.dropped(e, p, e.Reason.String(), false, weight)
	}
	if e.Kind != probe.KindInner && e.Kind != probe.KindData {
		return
	}
	inside := e.Kind == probe.KindInner && !e.Dropped() && (e.Seam == probe.SeamTUNRead || e.Seam == probe.SeamTUNWrite)
	if inside {
		t.passed(e, p, weight)
	}
	f := t.flow(e)
	if f == nil {
		return
	}
	f.Last = max(f.Last, e.Time)
	if e.ICMPError() && !e.Dropped() {
		f.refused(e)
	}
	f.Ladder.add(e, weight)
	if e.Dropped() {
		f.Drops += weight
		f.Why = e.Reason.String()
	}
	if inside {
		f.Packets += weight
		f.Bytes += weight * uint64(e.InnerLen)
		t.count(&f.Series, e, weight)
	}
}

// refused notes what an ICMP error says.
func (f *Flow) refused(e *probe.Event) {
	if why, ok := e.NodeSays(); ok {
		f.Refused = why.String()
		return
	}
	typ, code, _ := e.ICMP()
	f.Refused = probe.ICMPReason(e.Proto == probe.ProtoICMPv6, typ, code).String()
}

// Drop counts a packet that this host's kernel has dropped; e is its headers, at no seam.
func (t *Table) Drop(e *probe.Event, reason string) {
	t.version++
	t.counted++
	t.last = max(t.last, e.Time)
	p := t.peer(e.Peer)
	t.dropped(e, p, reason, true, 1)
	if k, ok := KeyOf(e); ok {
		for _, k := range []Key{k, keyBetween(k.Peer, k.Proto, k.Server, k.Client, false)} {
			if f := t.flows[k]; f != nil {
				f.Drops++
				f.Why, f.Last = reason, max(f.Last, e.Time)
				t.touch(f)
				return
			}
		}
	}
}

// weight is how many packets an event stands for that is of one packet of so many. What is rare
// is never left out.
func weight(e *probe.Event, every uint64) uint64 {
	switch probe.LaneOf(e) {
	case probe.LaneTUNRead, probe.LaneUDPReceive:
		return max(every, 1)
	case probe.LaneTUNWrite, probe.LaneUDPSend:
		if e.Pair != 0 {
			return max(every, 1)
		}
	}
	return 1
}

// handshake notes when a handshake was completed, as far as events tell: a response was taken
// that the peer sent, or came to the peer that was sent to it, which what it sends then shows.
func (p *Peer) handshake(e *probe.Event) {
	switch {
	case e.Dropped():
	case e.Checkpoint == probe.A3 && e.Kind == probe.KindResponse:
		p.Handshake, p.answered = max(p.Handshake, e.Time), false
	case e.Checkpoint == probe.B2 && e.Kind == probe.KindResponse:
		p.answered = true
	case p.answered && e.Seam == probe.SeamUDPReceive && (e.Kind == probe.KindData || e.Kind == probe.KindKeepalive):
		p.Handshake, p.answered = max(p.Handshake, e.Time), false
	}
}

func (t *Table) dropped(e *probe.Event, p *Peer, reason string, kernel bool, weight uint64) {
	if p != nil {
		p.Drops += weight
		p.Why = reason
		if s := p.Series.at(t.opt.Pace.interval(e.Time), t.opt.Pace.Kept); s != nil {
			s.Drops += weight
		}
	}
	if s := t.all.at(t.opt.Pace.interval(e.Time), t.opt.Pace.Kept); s != nil {
		s.Drops += weight
	}
	k := reasonKey{reason, kernel}
	r := t.reasons[k]
	if r == nil {
		if len(t.reasons) >= maxReasons {
			return
		}
		r = &Reason{Name: reason, Kernel: kernel}
		t.reasons[k] = r
	}
	r.Drops += weight
	r.Last = max(r.Last, e.Time)
	r.Latest, _ = KeyOf(e)
}

func (t *Table) passed(e *probe.Event, p *Peer, weight uint64) {
	t.count(&t.all, e, weight)
	if p != nil {
		t.count(&p.Series, e, weight)
	}
}

func (t *Table) count(s *Series, e *probe.Event, weight uint64) {
	v := s.at(t.opt.Pace.interval(e.Time), t.opt.Pace.Kept)
	switch {
	case v == nil:
	case e.Seam == probe.SeamTUNWrite:
		v.In += weight * uint64(e.InnerLen)
	default:
		v.Out += weight * uint64(e.InnerLen)
	}
}

// peer is the entry of a peer, nil for none.
func (t *Table) peer(id probe.PeerID) *Peer {
	if id == 0 {
		return nil
	}
	p := t.peers[id]
	if p == nil && len(t.peers) < maxPeers {
		p = &Peer{ID: id}
		t.peers[id] = p
	}
	return p
}

// flow is the entry of an event's flow, nil for none. It becomes the latest one.
func (t *Table) flow(e *probe.Event) *Flow {
	k, ok := KeyOf(e)
	if !ok {
		return nil
	}
	f := t.flows[k]
	if f == nil {
		if len(t.flows) >= t.opt.MaxFlows {
			gone := t.oldest
			t.unlink(gone)
			delete(t.flows, gone.Key)
			t.evicted++
		}
		f = &Flow{Key: k, Side: sideOf(e), First: e.Time}
		t.flows[k] = f
		t.link(f)
		return f
	}
	t.touch(f)
	return f
}

func (t *Table) touch(f *Flow) {
	if t.newest != f {
		t.unlink(f)
		t.link(f)
	}
}

func (t *Table) link(f *Flow) {
	f.older, f.newer = t.newest, nil
	if t.newest != nil {
		t.newest.newer = f
	} else {
		t.oldest = f
	}
	t.newest = f
}

func (t *Table) unlink(f *Flow) {
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		t.oldest = f.newer
	}
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		t.newest = f.older
	}
	f.older, f.newer = nil, nil
}

// Peer is what was seen of a peer, nil if nothing was.
func (t *Table) Peer(id probe.PeerID) *Peer { return t.peers[id] }

// Flow is the flow of a key, nil if it is not there (any more).
func (t *Table) Flow(k Key) *Flow { return t.flows[k] }

// Len is how many flows there are.
func (t *Table) Len() int { return len(t.flows) }

// Flows are the latest n flows, those of which something was heard last first; 0: all.
func (t *Table) Flows(n int) []*Flow {
	var list []*Flow
	for f := t.newest; f != nil && (n <= 0 || len(list) < n); f = f.older {
		list = append(list, f)
	}
	return list
}

// Peers are those of which anything was seen, by their ID.
func (t *Table) Peers() []*Peer {
	list := make([]*Peer, 0, len(t.peers))
	for _, p := range t.peers {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *Peer) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Reasons are those for which packets were dropped, the most frequent first.
func (t *Table) Reasons() []*Reason {
	list := make([]*Reason, 0, len(t.reasons))
	for _, r := range t.reasons {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *Reason) int { return cmp.Or(cmp.Compare(b.Drops, a.Drops), cmp.Compare(a.Name, b.Name)) })
	return list
}

// Samples appends the latest n samples of a series as of a time, the oldest first; of the
// whole tunnel if s is nil.
func (t *Table) Samples(dst []Sample, s *Series, at int64, n int) []Sample {
	if s == nil {
		s = &t.all
	}
	return s.latest(dst, t.opt.Pace.interval(at), n)
}

// By orders flows.
type By int

// The orders of flows: the latest first, those with most bytes, those with most drops.
const (
	ByTime By = iota
	ByBytes
	ByDrops
)

// Sort puts flows in order.
func Sort(list []*Flow, by By) {
	slices.SortFunc(list, func(a, b *Flow) int {
		switch by {
		case ByBytes:
			return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), compareKeys(a.Key, b.Key))
		case ByDrops:
			return cmp.Or(cmp.Compare(b.Drops, a.Drops), cmp.Compare(b.Last, a.Last), compareKeys(a.Key, b.Key))
		}
		// Those of one second keep their places, or a list of them could not be read.
		return cmp.Or(cmp.Compare(b.Last/1e9, a.Last/1e9), compareKeys(a.Key, b.Key))
	})
}
