package explain

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
)

// inquiry is what there is to find out about a flow, from a running node or from a
// recording: the facts, and which peers they are about.
type inquiry struct {
	know  collect.Knowledge
	from  netip.Prefix // that the flow comes from; invalid if from anywhere
	facts *diagnose.Facts
	col   *collect.Collector
	flow  *diagnose.Flow
	peer  probe.PeerID
	// behind is the peer that the target of another host is behind, 0 for none.
	behind probe.PeerID
}

func newInquiry(k collect.Knowledge, req *Request) inquiry {
	flow := &diagnose.Flow{Target: netip.AddrPortFrom(req.Target.Addr().Unmap(), req.Target.Port()), UDP: req.UDP, Source: req.From}
	q := inquiry{know: k, from: req.From, facts: collect.FactsFrom(k), col: collect.CollectorFor(k), flow: flow}
	q.facts.Flow, q.col.Flow = flow, flow
	for _, p := range q.col.Peers {
		if p.Endpoint.Addr().Unmap() == flow.Target.Addr() {
			q.facts.Outside = p
		}
	}
	return q
}

// choose makes a peer the one that the facts are about.
func (q *inquiry) choose(id probe.PeerID) { q.peer, q.facts.Peer = id, q.col.Peers[id] }

// passOn makes the peer that calls the one that the facts are about. If the target is
// behind another, the flow is passed on to that; then the facts of that half are returned,
// else nil.
func (q *inquiry) passOn(from probe.PeerID) *diagnose.Facts {
	q.facts.Side = probe.SideB
	q.choose(from)
	if q.behind == 0 || q.behind == from {
		return nil
	}
	onward := *q.facts
	onward.Side, onward.Kernel = probe.SideA, nil
	onward.Peer = q.col.Peers[q.behind]
	q.facts.Onward = &onward
	return &onward
}

// find looks for the peer of a flow that another host began.
func (q *inquiry) find() probe.PeerID {
	for _, cp := range slices.Backward(probe.Checkpoints(probe.SideB)) {
		if e := q.flow.Seen[cp]; e != nil && e.Peer != 0 {
			return e.Peer
		}
	}
	if id := q.disallowed(); id != 0 {
		return id
	}
	for id, p := range q.col.Peers {
		h := &p.Handshake
		if (h.Replays > 0 || h.Answered > 1) && (!q.from.IsValid() || q.from.Contains(p.Endpoint.Addr())) {
			return id
		}
	}
	return 0
}

// disallowed is the peer that has sent a packet of the flow whose source is not its own, so
// that it was dropped, 0 for none. Whoever's the source is by AllowedIPs may be another peer,
// or none: keys are swapped, two peers have the address, or the sender has a foreign one.
// Of several it is the one that the facts are about, or the first that the node had.
func (q *inquiry) disallowed() probe.PeerID {
	of := func(id probe.PeerID) bool {
		p := q.col.Peers[id]
		if p == nil || p.Disallowed == nil {
			return false
		}
		src, dst := p.Disallowed.Inner()
		switch {
		case !src.Addr().IsValid():
			return !q.from.IsValid() // it may be the flow's
		case q.from.IsValid() && !q.from.Contains(src.Addr()):
			return false
		}
		return q.flow.Toward(dst)
	}
	if of(q.peer) {
		return q.peer
	}
	for _, id := range slices.Sorted(maps.Keys(q.col.Peers)) {
		if of(id) {
			return id
		}
	}
	return 0
}

// elsewhere makes the peer that has sent packets of the flow, all of which were dropped
// because of their source, the one that the facts are about, in place of the one that the
// source belongs to.
func (q *inquiry) elsewhere() {
	if q.flow.Seen[probe.B4] != nil || q.flow.Seen[probe.A1] != nil || !q.from.IsValid() {
		return
	}
	if id := q.disallowed(); id != 0 && id != q.peer {
		q.behind, q.facts.Onward = 0, nil
		q.passOn(id)
	}
}

// owner notes whose the source of the packets is that the peer may not send.
func (q *inquiry) owner() {
	q.facts.Owner = nil
	if p := q.facts.Peer; p != nil && p.Disallowed != nil {
		src, _ := p.Disallowed.Inner()
		q.facts.Owner = q.col.Peers[q.know.Lookup(src.Addr())]
	}
}

// report is what is said at the time now of a verdict on what was seen since began.
func (q *inquiry) report(v diagnose.Verdict, began, now time.Time) *diagnose.Report {
	r := &diagnose.Report{Interface: q.facts.Interface, Level: q.facts.Level, Target: probe.FlowText(q.flow.Target, q.flow.UDP),
		Side: q.facts.Side, Verdict: v, Ladder: q.facts.Ladder(&v, began)}
	if p := q.facts.Peer; p != nil {
		r.Peer, r.PeerName, r.HandshakeAge = p.KeyText(), p.Name, p.Handshake.Age(now)
	}
	if q.flow.Probe.Answered {
		r.RTT = q.flow.Probe.Took
	}
	if m := q.facts.PathMTU; m != nil {
		r.PathMTU = m.Largest
	}
	if on := q.facts.Onward; on != nil {
		r.Onward, r.OnwardName = on.Peer.KeyText(), on.Peer.Name
	}
	return r
}
