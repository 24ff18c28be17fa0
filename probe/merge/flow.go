package merge

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/diagnose/twosided"
)

const (
	// hopsKept bounds how many flows are told of in full.
	hopsKept = 1024
	// arrowsKept bounds how many messages of a flow are kept for its picture, and
	// troubleKept how many more of those to which something happened.
	arrowsKept, troubleKept = 40, 24
	// unansweredFor is how long a flow that was answered before must go unanswered
	// in the end, with requests, for the end to be what is judged.
	unansweredFor = int64(3e9)
	// askedAgain is how long a flow goes unanswered before a request counts as one
	// that is repeated, so that what becomes of it is followed.
	askedAgain = int64(200e6)
)

// hopKey names a flow on its way from one peer to another. Keys are numbered: 0 is
// one that is not known.
type hopKey struct {
	a, b           int32
	client, server probe.Addr
	port           uint16 // of the service; 0 where the protocol has none
	proto          uint8
}

// hop is a flow between two ends of a tunnel: what both saw of it.
type hop struct {
	key   hopKey
	order int
	a, b  int8 // the hosts; -1: not recorded
	began int64

	passed   [probe.NumCheckpoints]passed
	passages [2]passage // forth, and back
	drops    [2]map[probe.Reason]int
	legs     [2]Leg // forth, and back
	facts    [2]*diagnose.Flow
	tail     [2]*diagnose.Flow // since a request was repeated after the last reply
	asked    int               // requests since then
	askedAt  int64             // the first
	askers   diagnose.Askers   // the connections that they are of
	answers  diagnose.Answers  // to what is asked since the last reply
	replies  int
	epoch    uint32 // what came before since began has another
	since    [2]tally
	strange  int // messages that both hosts put down to the other's side

	kernel  []*Dropped // its packets that kernels have dropped
	arrows  []*Arrow
	trouble int
	missed  int // messages that there was no room for
}

// passed is what passed a checkpoint.
type passed struct {
	n     uint64
	first probe.Event
}

// Arrow is one message of a flow, or of a handshake, for a picture.
type Arrow struct {
	What     What
	From, To int8 // hosts; To may not have been recorded
	// Sent and Got are reference times; 0 where it was not seen.
	Sent, Got                       int64
	Checkpoint                      probe.Checkpoint // where it was sent, or else received
	Counter                         uint64
	Lost, Refused, Twice, Overtaken bool
	Dropped                         probe.Reason // by the receiver
	Kernel                          *ByKernel    // that has dropped it; nil if none is known to
}

// flowOf finds the flow that an event is of; nil if it is of none, or of one too
// many. Which side began the flow is what the host that saw the event says.
func (m *merger) flowOf(h *host, e *probe.Event) (f *hop, forth bool) {
	if !e.HasAddrs() || e.InnerLen == 0 && e.InnerSrc == (probe.Addr{}) {
		return nil, false
	}
	if !e.Checkpoint.OfFlow() || m.now < m.since {
		return nil, false
	}
	here := e.Checkpoint.Side() == probe.SideA // the host is the flow's A
	forth = here == (e.Checkpoint.Seam().Direction() == "out")
	k := hopKey{proto: e.Proto}
	k.a, k.b = h.self, h.keys[e.Peer]
	if !here {
		k.a, k.b = k.b, k.a
	}
	if proto, _, about, ok := e.Quoted(); ok && !forth {
		k.client, k.server, k.port, k.proto = e.InnerDst, probe.AddrFrom(about.Addr()), about.Port(), proto
		if proto != probe.ProtoTCP && proto != probe.ProtoUDP {
			k.port = 0
		}
		return m.hops[k], forth
	}
	if e.ICMPError() {
		// It is about a packet of the other direction, or from a host on the way.
		client := e.InnerDst
		if forth {
			client = e.InnerSrc
		}
		return m.asked[askedKey{k.a, k.b, client, e.InnerDstPort}], forth
	}
	sport, dport := e.InnerSrcPort, e.InnerDstPort
	if e.Proto != probe.ProtoTCP && e.Proto != probe.ProtoUDP || e.Flags&(probe.FlagFragment|probe.FlagTruncated) != 0 {
		sport, dport = 0, 0
	}
	k.client, k.server, k.port = e.InnerSrc, e.InnerDst, dport
	if !forth {
		k.client, k.server, k.port = e.InnerDst, e.InnerSrc, sport
	}
	if m.lastHop != nil && m.lastHop.key == k {
		return m.lastHop, forth
	}
	f = m.hops[k]
	if f == nil {
		if f = m.newHop(k); f == nil {
			return nil, false
		}
	}
	m.lastHop = f
	return f, forth
}

// askedKey finds the flow that an ICMP error is about: it quotes the port of the
// service.
type askedKey struct {
	a, b   int32
	client probe.Addr
	port   uint16
}

func (m *merger) newHop(k hopKey) *hop {
	if len(m.hops) >= hopsKept {
		m.hopsLeft++
		return nil
	}
	f := &hop{key: k, order: len(m.hops), a: m.hostOf(k.a), b: m.hostOf(k.b), began: m.now}
	for i := range f.facts {
		f.facts[i] = f.newFlow()
	}
	m.hops[k] = f
	m.asked[askedKey{k.a, k.b, k.client, k.port}] = f
	return f
}

// newFlow begins the facts about the flow.
func (f *hop) newFlow() *diagnose.Flow {
	d := &diagnose.Flow{Target: f.target()}
	if c := f.key.client.Netip(); c.IsValid() {
		d.Source = netip.PrefixFrom(c, c.BitLen())
	}
	return d
}

// target is the flow's destination.
func (f *hop) target() netip.AddrPort {
	return netip.AddrPortFrom(f.key.server.Netip(), f.key.port)
}

// side is 0 if h is the flow's A, and 1 if it is its B.
func (f *hop) side(h *host) int {
	if h.index == f.a {
		return 0
	}
	return 1
}

// see takes an event of the flow into account.
func (f *hop) see(h *host, e *probe.Event, forth bool, at int64) {
	s := f.side(h)
	if e.Dropped() {
		if f.drops[s] == nil {
			f.drops[s] = make(map[probe.Reason]int)
		}
		f.drops[s][e.Reason]++
	} else if e.Seam != probe.SeamDevice {
		p := &f.passed[e.Checkpoint]
		if p.n == 0 {
			p.first = *e
		}
		p.n++
		f.keep(e, forth)
	}
	collect.AddToFlow(f.facts[s], e)
	of := e.Kind == probe.KindInner && !e.Dropped() && (e.Checkpoint == probe.A1 || e.Checkpoint == probe.A6)
	answers := of && f.answers.Add(e, forth)
	switch {
	case e.Checkpoint == probe.A6 && e.Kind == probe.KindInner && !e.Dropped():
		if f.asked > 0 && !(answers && f.waits(e, forth)) {
			return // what a connection repeats in vain is no answer
		}
		f.replies++
		f.tail, f.asked = [2]*diagnose.Flow{}, 0
		f.askers.Reset()
		f.answers.Reset()
		f.since = [2]tally{}
		f.epoch++
		return
	case f.replies > 0 && e.Checkpoint == probe.A1 && e.Asks():
		f.askers.Add(e.InnerSrcPort)
		switch f.asked++; {
		case f.asked == 1:
			f.askedAt = at
		case f.tail[0] == nil && at-f.askedAt >= askedAgain:
			f.tail = [2]*diagnose.Flow{f.newFlow(), f.newFlow()}
			f.since = [2]tally{}
			f.epoch++
		}
	}
	if f.tail[s] != nil && f.waits(e, forth) {
		collect.AddToFlow(f.tail[s], e)
	}
}

// waits reports whether a packet may be of a connection that waits for an answer.
func (f *hop) waits(e *probe.Event, forth bool) bool {
	port := e.InnerDstPort
	if forth {
		port = e.InnerSrcPort
	}
	if e.Proto != probe.ProtoTCP && e.Proto != probe.ProtoUDP || e.ICMPError() || e.Flags&(probe.FlagFragment|probe.FlagTruncated) != 0 {
		return true // of which one is not known
	}
	return f.askers.Has(port)
}

// judged is what is to be judged: the end, if the flow was answered before and is
// not any more.
func (f *hop) judged(end int64, a, b *host) (flows [2]*diagnose.Flow, forth, back twosided.Way) {
	switch {
	case f.failed(end):
		return f.tail, f.since[0].way(b), f.since[1].way(a)
	case f.replies == 0:
		return f.facts, f.since[0].way(b), f.since[1].way(a)
	}
	return f.facts, f.legs[0].way(), f.legs[1].way()
}

// failed reports whether the flow was answered before, and is not any more.
func (f *hop) failed(end int64) bool {
	return f.tail[0] != nil && f.asked >= 2 && end-f.askedAt >= unansweredFor
}

// way is 0 forth and 1 back.
func way(forth bool) int {
	if forth {
		return 0
	}
	return 1
}

// draw keeps a message for the picture, if there is room.
func (f *hop) draw(a Arrow) *Arrow {
	if len(f.arrows) >= arrowsKept {
		f.missed++
		return nil
	}
	kept := a
	f.arrows = append(f.arrows, &kept)
	return &kept
}

// drawTrouble keeps a message to which something happened.
func (f *hop) drawTrouble(a Arrow) *Arrow {
	if f.trouble >= troubleKept {
		return nil
	}
	f.trouble++
	f.missed--
	kept := a
	f.arrows = append(f.arrows, &kept)
	return &kept
}
