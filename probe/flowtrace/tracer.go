package flowtrace

import (
	"container/list"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/flows"
	"github.com/wgnode/wgnode/probe/key"
)

const (
	// DefaultFlows is how many flows a tracer remembers.
	DefaultFlows = 8192
	// AnswerTime is how long an answer is awaited.
	AnswerTime = 5 * time.Second
	// againTime is what is between two packets of which the second repeats the first, and is not
	// just behind it; maxOpenings is how many packets of a flow without an answer are followed.
	againTime   = 100 * time.Millisecond
	maxOpenings = 8
	// dropTime is between two drops of one flow that are told.
	dropTime = time.Second
	// idleTime is how long a flow of a protocol without connections may be silent.
	idleTime = 180 * time.Second
)

// Options are what a tracer is told of its node.
type Options struct {
	// Self is the node's public key now, and Peer a peer's with its name.
	Self func() key.Public
	Peer func(probe.PeerID) (k key.Public, name string, ok bool)
	// Receipt is when a message was received, by the Seq of its event. ok is false if that is not
	// known any more.
	Receipt func(seq uint64) (at int64, ok bool)
	// Ahead, if not nil, is how far this host's clock is ahead of a peer's at most, in nanoseconds. ok
	// is false if that is not known.
	Ahead func(probe.PeerID) (most int64, ok bool)
	// Threshold says which traces are kept though nothing is wrong with them.
	Threshold Threshold
	// Anonymize keeps addresses and names out of spans.
	Anonymize bool
	// MaxFlows is how many are remembered; 0: DefaultFlows.
	MaxFlows int
	// Out gets the spans of one packet and its answer, and must not keep the slice.
	Out func(spans []Span)
}

// Counts are what became of flows' openings.
type Counts struct {
	Traced     uint64 // handed out
	Unsampled  uint64 // nothing was wrong, and the threshold did not keep them
	Limited    uint64 // too many at a time had failed
	Forgotten  uint64 // other flows took their place before they were answered
	Incomplete uint64 // events of their time were missed: what became of them is not known
}

// Tracer makes spans of the events of one tunnel, in the order of their times. It is not safe for
// concurrent use.
type Tracer struct {
	opt     Options
	flows   map[flows.Key]*flow
	recent  list.List // of *flow, the one that is silent longest in front
	traces  map[TraceID]*attempt
	within  map[flows.Key]*attempt // those of side B by their flow, whoever's the peer is
	waiting list.List              // of *attempt, in order of their deadlines
	peers   map[probe.PeerID]*handshakes
	seen    seen
	limit   bucket
	counts  Counts
	lost    uint64
}

type flow struct {
	key      flows.Key
	at       *list.Element
	last     int64
	now      *attempt // the latest
	openings int      // without an answer
	told     int64    // when a drop in its course was told last
}

// attempt is an opening packet of a flow, and its answer.
type attempt struct {
	flow     *flow
	side     probe.Side
	trace    TraceID
	known    bool // trace is
	content  bool // trace is by what all hosts see
	top      SpanID
	host     SpanID // of what is between leaving the tunnel and the answer's coming back
	parent   SpanID
	remote   bool // parent is another host's
	links    []Link
	before   *Link // the opening that this one repeats
	seq      uint64
	answer   uint64 // Seq of the answer's event at its first seam
	times    [probe.NumCheckpoints]int64
	out, in  message // that the opening left by and came by; for the answer it is the reverse
	outer    netip.AddrPort
	prefix   netip.Prefix
	refused  string
	reason   probe.Reason
	dropAt   int64
	dropped  probe.Checkpoint
	shaken   *handshake // that it waited for
	from     *attempt   // how this hub has got it from another peer
	next     *attempt   // how it goes on from this hub
	shared   bool       // another flow looks the same
	keep     bool       // something became of it that is to be told
	begun    int64
	lost     uint64 // events that the tracer had missed when it began
	settled  bool
	exported bool
	waits    *list.Element
}

// New returns a tracer.
func New(o Options) *Tracer {
	if o.MaxFlows <= 0 {
		o.MaxFlows = DefaultFlows
	}
	return &Tracer{opt: o, flows: make(map[flows.Key]*flow), traces: make(map[TraceID]*attempt),
		within: make(map[flows.Key]*attempt), peers: make(map[probe.PeerID]*handshakes), seen: newSeen()}
}

// Counts says what became of the openings by now.
func (t *Tracer) Counts() Counts { return t.counts }

// Len is how many flows are remembered.
func (t *Tracer) Len() int { return len(t.flows) }

// Missed notes how many events were missed in all.
func (t *Tracer) Missed(n uint64) { t.lost = n }

// Past takes an event of before there was a tracer. Its flow has begun, so that nothing of it is an
// opening.
func (t *Tracer) Past(e *probe.Event) {
	if k, ok := flows.KeyOf(e); ok && e.Kind == probe.KindInner && !e.Dropped() {
		t.seen.note(&k, e.Time)
	}
}

// Event takes one.
func (t *Tracer) Event(e *probe.Event) {
	t.Tick(e.Time)
	switch e.Kind {
	case probe.KindInitiation, probe.KindResponse:
		t.handshake(e)
	case probe.KindInner, probe.KindData:
		t.packet(e)
	}
}

func (t *Tracer) packet(e *probe.Event) {
	k, ok := flows.KeyOf(e)
	if !ok || e.Flags&(probe.FlagFragment|probe.FlagTruncated) != 0 || e.InnerDst.Multicast() {
		return
	}
	if e.Seam == probe.SeamDevice { // tells of a packet that has been seen
		if e.Dropped() {
			t.droppedInside(e, t.flows[k])
		}
		return
	}
	f := t.flows[k]
	if f != nil {
		t.recent.MoveToBack(f.at)
	}
	switch e.Seam {
	case probe.SeamTUNRead:
		t.enters(e, k, f)
	case probe.SeamUDPSend:
		t.sent(e, f)
	case probe.SeamTUNWrite:
		t.leaves(e, k, f)
	}
	if f = t.flows[k]; f != nil {
		f.last = max(f.last, e.Time)
	}
}

// enters is for a packet that enters the tunnel: A1, or B7.
func (t *Tracer) enters(e *probe.Event, k flows.Key, f *flow) {
	if e.Checkpoint == probe.A1 && t.opens(e, f) {
		a := t.begin(e, k, probe.SideA)
		a.seq, a.times[probe.A1], a.prefix = e.Seq, e.Time, e.Prefix()
		if id, ok := traceOfContent(e, &k, t.opt.Anonymize); ok {
			t.name(a, id, true)
		}
		if e.Dropped() {
			t.fail(a, e)
		}
		return
	}
	if f == nil {
		return
	}
	a := f.now
	switch {
	case !a.pending() && e.Dropped():
		t.dropLater(a, e)
	case a.pending() && a.side == probe.SideB && a.answer == 0 && answers(e, a):
		a.answer, a.times[probe.B7] = e.Seq, e.Time
		if e.Dropped() {
			t.fail(a, e)
		}
	}
}

// sent is for a message that has such a packet: A4, or B8.
func (t *Tracer) sent(e *probe.Event, f *flow) {
	if f == nil || !f.now.pending() || e.Pair == 0 {
		return
	}
	switch a := f.now; {
	case a.side == probe.SideA && a.seq == e.Pair && a.times[probe.A4] == 0:
		a.times[probe.A4], a.out = e.Time, messageOf(e)
		_, a.outer = e.Outer()
		if peer, _, ok := t.opt.Peer(e.Peer); ok && !a.known {
			t.name(a, traceOfMessage(a.out, t.opt.Self(), peer), false)
		}
		a.shaken = t.waitedFor(e.Peer, a.times[probe.A1], e.Time)
	case a.side == probe.SideB && a.answer == e.Pair:
		a.times[probe.B8], a.out = e.Time, messageOf(e)
		t.settle(a, e.Time)
	}
}

// leaves is for a packet that leaves the tunnel: B4, or A6.
func (t *Tracer) leaves(e *probe.Event, k flows.Key, f *flow) {
	received := e.Time
	if e.Checkpoint == probe.B4 && t.opens(e, f) {
		a := t.begin(e, k, probe.SideB)
		a.seq, a.in, a.prefix = e.Seq, messageOf(e), e.Prefix()
		a.outer, _ = e.Outer()
		if at, ok := t.opt.Receipt(e.Pair); ok {
			received = at
		}
		a.times[probe.B3], a.times[probe.B4] = received, e.Time
		id, content := traceOfContent(e, &k, t.opt.Anonymize)
		if peer, _, ok := t.opt.Peer(e.Peer); !content && ok {
			id = traceOfMessage(a.in, peer, t.opt.Self())
		}
		t.name(a, id, content)
		return
	}
	if f == nil {
		return
	}
	if a := f.now; a.pending() && a.side == probe.SideA && a.times[probe.A4] != 0 && answers(e, a) {
		if at, ok := t.opt.Receipt(e.Pair); ok {
			received = at
		}
		a.times[probe.A5], a.times[probe.A6], a.in = received, e.Time, messageOf(e)
		t.settle(a, e.Time)
	}
}

// opens reports whether a packet begins something that is to be followed.
func (t *Tracer) opens(e *probe.Event, f *flow) bool {
	if e.ICMPError() {
		return false
	}
	if e.Proto == probe.ProtoTCP {
		return e.Opens()
	}
	if request, reply := e.ICMPEcho(); reply || !request && (e.Proto == probe.ProtoICMP || e.Proto == probe.ProtoICMPv6) {
		return false
	}
	switch {
	case f == nil || e.Time-f.last > int64(idleTime):
		return true
	case f.openings == 0: // it was answered
		return false
	}
	return f.openings < maxOpenings && e.Time-f.now.begun >= int64(againTime)
}

// answers reports whether a packet that goes the other way answers an opening, and notes a refusal.
func answers(e *probe.Event, a *attempt) bool {
	if e.ICMPError() {
		if !e.Undelivered() {
			return false
		}
		if why, ok := e.NodeSays(); ok { // the other node has dropped it
			a.refused = why.String()
			return true
		}
		typ, code, _ := e.ICMP()
		a.refused = probe.ICMPReason(e.Proto == probe.ProtoICMPv6, typ, code).String()
		return true
	}
	if e.Proto != probe.ProtoTCP {
		return true
	}
	switch flags := e.TCPFlags(); {
	case flags&probe.TCPRst != 0:
		a.refused = "tcp-reset"
		return true
	default:
		return flags&(probe.TCPSyn|probe.TCPAck) == probe.TCPSyn|probe.TCPAck
	}
}

func (a *attempt) pending() bool { return a != nil && !a.settled }
