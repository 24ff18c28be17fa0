package collect

import (
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// The rungs of a peer's ladder are those of one packet and its answer, not the latest of
// each checkpoint: these may be of different flows, and of different times.

// recentKept is how many events at least at each checkpoint of a flow an exchange is looked for in.
const recentKept = 16

// recent are the latest events of a peer at the checkpoints of a flow.
type recent [probe.NumCheckpoints][]probe.Event

func (r *recent) add(e *probe.Event) {
	at := &r[e.Checkpoint]
	if len(*at) == 2*recentKept {
		*at = (*at)[:copy(*at, (*at)[recentKept:])]
	}
	*at = append(*at, *e)
}

// last returns the latest event at a checkpoint that is, nil if none of them is.
func (r *recent) last(cp probe.Checkpoint, is func(*probe.Event) bool) *probe.Event {
	for i := len(r[cp]) - 1; i >= 0; i-- {
		if is(&r[cp][i]) {
			return &r[cp][i]
		}
	}
	return nil
}

// side are the checkpoints of a flow on one side: of the request and of its answer, each
// inside of the tunnel and as a message.
type side struct{ in, request, out, answer probe.Checkpoint }

var sides = []side{{probe.A1, probe.A4, probe.A6, probe.A5}, {probe.B4, probe.B3, probe.B7, probe.B8}}

// remember takes an event at a checkpoint of a flow into account.
func (c *Collector) remember(e *probe.Event) {
	r := c.recent[e.Peer]
	if r == nil {
		if c.recent == nil {
			c.recent = make(map[probe.PeerID]*recent)
		}
		r = new(recent)
		c.recent[e.Peer] = r
	}
	r.add(e)
}

// Exchanges makes what a collector has of each peer at the checkpoints of a flow one
// packet's and its answer's: the latest that was answered. Where an answer is not to be
// found among what is remembered, that of which there is no answer is the latest packet.
// What was before a handshake that has not come to an end is of another session, and no part
// of it. It is for a collector of the latest.
func (c *Collector) Exchanges() {
	for id, r := range c.recent {
		p := c.Peers[id]
		if p == nil {
			continue
		}
		for _, s := range sides {
			r.show(p, s)
		}
	}
}

func (r *recent) show(p *diagnose.Peer, s side) {
	var in, out *probe.Event
	out = r.last(s.out, func(answer *probe.Event) bool {
		in = r.last(s.in, func(e *probe.Event) bool { return e.Time <= answer.Time && answers(answer, e) })
		return in != nil
	})
	begun := pending(p)
	switch {
	case out != nil && out.Time < begun:
		before := out.Time
		in, out = r.last(s.in, func(e *probe.Event) bool { return e.Time > before }), nil
	case out != nil:
	case len(r[s.out]) > 0:
		return // it is not known what that answers
	default:
		if in = r.last(s.in, func(*probe.Event) bool { return true }); in == nil {
			return
		}
	}
	p.Seen[s.in], p.Seen[s.out] = in, out
	p.Seen[s.request], p.Seen[s.answer] = nil, nil
	if in != nil {
		p.Seen[s.request] = r.last(s.request, func(m *probe.Event) bool { return sameMessage(m, in) })
	}
	if out != nil {
		p.Seen[s.answer] = r.last(s.answer, func(m *probe.Event) bool { return sameMessage(m, out) })
	}
}

// pending is when the latest initiation of a handshake passed that has not led to a session, in
// nanoseconds since the epoch; 0 if there is none.
func pending(p *diagnose.Peer) (at int64) {
	h := &p.Handshake
	if e := p.Seen[probe.A2]; e != nil && h.Sent > 0 {
		at = e.Time
	}
	if e := p.Seen[probe.B1]; e != nil && h.Answered > 0 {
		at = max(at, e.Time)
	}
	return at
}

// sameMessage reports whether a message is the one that an inner packet is in: which has
// the other's number, by the order of the seams that it passes.
func sameMessage(m, inner *probe.Event) bool {
	if inner.Seam == probe.SeamTUNRead {
		return m.Pair == inner.Seq
	}
	return m.Seq == inner.Pair
}

// answers reports whether a packet answers another: it goes back on the same flow, or is
// an ICMP error about it.
func answers(e, asked *probe.Event) bool {
	if e.ICMPError() {
		proto, from, to, ok := e.Quoted()
		src, dst := asked.Inner()
		return ok && proto == asked.Proto && from == src && to == dst
	}
	if e.InnerSrc != asked.InnerDst || e.InnerDst != asked.InnerSrc || e.Proto != asked.Proto {
		return false
	}
	if _, reply := e.ICMPEcho(); reply {
		return e.InnerSrcPort == asked.InnerSrcPort && e.InnerDstPort == asked.InnerDstPort
	}
	if s, told := asked.Segment(); told {
		if yes, told := e.Acknowledges(s.End(asked), s.Stamp); told && !yes {
			return false // it was sent before
		}
	}
	return e.InnerSrcPort == asked.InnerDstPort && e.InnerDstPort == asked.InnerSrcPort
}
