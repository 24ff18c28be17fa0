package flowtrace

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/wgnode/wgnode/probe"
)

// Outcomes, as the attribute wgnode.outcome has them.
const (
	outcomeAnswered = "answered"
	outcomeRefused  = "refused"
	outcomeDropped  = "dropped"
	outcomeNoAnswer = "no-answer"
	outcomeUnknown  = "unknown" // events were missed
)

func (t *Tracer) outcome(a *attempt) string {
	switch {
	case a.reason != probe.ReasonNone:
		return outcomeDropped
	case a.refused != "":
		return outcomeRefused
	case a.answered():
		return outcomeAnswered
	case a.lost != t.lost:
		return outcomeUnknown
	}
	return outcomeNoAnswer
}

// failed reports whether an outcome is to be told whatever the threshold says. That a datagram has
// no answer need not be a fault.
func (a *attempt) failed(outcome string) bool {
	switch outcome {
	case outcomeDropped, outcomeRefused:
		return true
	case outcomeNoAnswer:
		p := a.flow.key.Proto
		return a.keep || p == probe.ProtoTCP || p == probe.ProtoICMP || p == probe.ProtoICMPv6
	}
	return a.keep
}

// export hands the spans of an attempt out, or counts why not.
func (t *Tracer) export(a *attempt, now int64) {
	t.join(a)
	outcome := t.outcome(a)
	sampled := t.opt.Threshold.Keeps(a.trace)
	failed := a.failed(outcome)
	switch {
	case !sampled && !failed:
		if outcome == outcomeUnknown {
			t.counts.Incomplete++
		} else {
			t.counts.Unsampled++
		}
		return
	case !sampled && !t.limit.take(now):
		t.counts.Limited++
		return
	}
	a.exported = true
	t.counts.Traced++
	t.opt.Out(t.spans(a, outcome, sampled, now))
	if failed && a.from != nil { // or this one's parent would be missing
		a.from.keep = true
		if a.from.settled && !a.from.exported {
			t.export(a.from, now)
		}
	}
}

// join gives a trace to an attempt that was dropped before a message gave it one.
func (t *Tracer) join(a *attempt) {
	if a.known {
		return
	}
	a.known = true
	if from := t.within[apart(a.flow.key)]; from.pending() && from.known && from.flow != a.flow {
		a.trace, a.parent, a.from = from.trace, from.host, from
		return
	}
	binary.NativeEndian.PutUint64(a.trace[:8], rand.Uint64()|1)
	binary.NativeEndian.PutUint64(a.trace[8:], rand.Uint64())
}

// dropLater tells of a drop in the course of a flow.
func (t *Tracer) dropLater(a *attempt, e *probe.Event) {
	if a == nil || e.Time-a.flow.told < int64(dropTime) {
		return
	}
	a.flow.told = e.Time
	if !t.limit.take(e.Time) {
		t.counts.Limited++
		return
	}
	if !a.exported {
		a.keep = true
		t.export(a, e.Time)
	}
	s := Span{Trace: a.trace, ID: newSpan(), Parent: a.top, Name: "drop", Start: e.Time, End: e.Time,
		Sampled: t.opt.Threshold.Keeps(a.trace)}
	s.dropped(e.Checkpoint, e.Reason)
	t.opt.Out([]Span{s})
}

// spans are those of an attempt, the outermost first.
func (t *Tracer) spans(a *attempt, outcome string, sampled bool, now int64) []Span {
	if a.side == probe.SideA {
		return t.spansOfA(a, outcome, sampled, now)
	}
	return t.spansOfB(a, outcome, sampled, now)
}

// build makes the spans of one attempt.
type build struct {
	a       *attempt
	sampled bool
	end     int64 // of what has no other end
	spans   []Span
}

// add adds a span from one checkpoint to another. Of what has not come so far it is only the
// beginning.
func (b *build) add(name string, id, parent SpanID, from, to int64) *Span {
	if to == 0 {
		to = b.end
	}
	b.spans = append(b.spans, Span{Trace: b.a.trace, ID: id, Parent: parent, Name: name, Start: from, End: max(from, to), Sampled: b.sampled})
	return &b.spans[len(b.spans)-1]
}

func (t *Tracer) spansOfA(a *attempt, outcome string, sampled bool, now int64) []Span {
	at := &a.times
	b := build{a: a, sampled: sampled, end: now}
	top := b.add("flow", a.top, a.parent, at[probe.A1], at[probe.A6])
	top.Remote, top.Links = a.remote, a.links
	t.describe(top, a, outcome)
	enters := b.add("A1-A4", newSpan(), a.top, at[probe.A1], at[probe.A4])
	t.prefix(enters, a)
	if a.dropAt != 0 && at[probe.A4] == 0 {
		enters.dropped(a.dropped, a.reason)
	}
	if h := a.shaken; h != nil {
		within := enters.ID
		s := b.add("handshake", newSpan(), within, max(h.sent, at[probe.A1]), h.answered)
		s.Links = []Link{{h.trace, h.span(), "is"}}
	}
	if at[probe.A4] == 0 {
		return b.spans
	}
	w := b.add("wire", wire(a.trace, a.out), a.top, at[probe.A4], at[probe.A5])
	w.Kind = Client
	w.message(a.out)
	t.endpoint(w, a)
	if outcome == outcomeNoAnswer {
		w.Error = "no answer"
	}
	if at[probe.A6] != 0 {
		s := b.add("A5-A6", newSpan(), a.top, at[probe.A5], at[probe.A6])
		s.message(a.in)
	}
	return b.spans
}

func (t *Tracer) spansOfB(a *attempt, outcome string, sampled bool, now int64) []Span {
	at := &a.times
	b := build{a: a, sampled: sampled, end: now}
	top := b.add("B3-B8", a.top, a.parent, at[probe.B3], at[probe.B8])
	top.Remote, top.Links, top.Kind = a.remote, a.links, Server
	top.message(a.in)
	t.describe(top, a, outcome)
	t.endpoint(top, a)
	if t.opt.Ahead != nil {
		if most, ok := t.opt.Ahead(a.flow.key.Peer); ok {
			top.number("wgnode.clock.ahead_at_most_ns", most)
		}
	}
	t.prefix(b.add("B3-B4", newSpan(), a.top, at[probe.B3], at[probe.B4]), a)
	host := b.add("B4-B7", a.host, a.top, at[probe.B4], at[probe.B7])
	if outcome == outcomeNoAnswer {
		host.Error = "no answer"
	}
	if at[probe.B7] != 0 {
		s := b.add("B7-B8", newSpan(), a.top, at[probe.B7], at[probe.B8])
		s.message(a.out)
		if a.dropAt != 0 {
			s.dropped(a.dropped, a.reason)
		}
	}
	return b.spans
}

// describe says which flow it is, whose, and what became of it.
func (t *Tracer) describe(s *Span, a *attempt, outcome string) {
	k := &a.flow.key
	s.text("wgnode.outcome", outcome)
	s.text("wgnode.side", string(a.side))
	s.text("network.transport", probe.ProtocolName(k.Proto))
	family := "ipv6"
	if k.Server.Addr().Is4() {
		family = "ipv4"
	}
	s.text("network.type", family)
	ports := k.Proto == probe.ProtoTCP || k.Proto == probe.ProtoUDP
	if !t.opt.Anonymize {
		s.ends(k.Client, k.Server, ports)
	} else if ports {
		s.number("destination.port", int64(k.Server.Port()))
	}
	if peer, name, ok := t.opt.Peer(k.Peer); ok {
		s.text("wgnode.peer.instance_id", Instance(peer))
		if !t.opt.Anonymize {
			s.text("wgnode.peer.name", name)
			s.text("wgnode.peer.public_key", peer.Base64())
		}
	}
	switch outcome {
	case outcomeRefused:
		s.Error = a.refused
		s.text("wgnode.refused", a.refused)
	case outcomeDropped:
		s.dropped(a.dropped, a.reason)
	case outcomeNoAnswer:
		if a.failed(outcome) {
			s.Error = "no answer"
		}
	}
	if a.before != nil {
		s.Links = append(s.Links, *a.before)
	}
}

// prefix notes which of AllowedIPs has matched.
func (t *Tracer) prefix(s *Span, a *attempt) {
	if a.prefix.IsValid() && !t.opt.Anonymize {
		s.text("wgnode.allowed_ip", a.prefix.String())
	}
}

// endpoint notes where the peer is.
func (t *Tracer) endpoint(s *Span, a *attempt) {
	if a.outer.IsValid() && !t.opt.Anonymize {
		s.text("network.peer.address", a.outer.Addr().String())
		s.number("network.peer.port", int64(a.outer.Port()))
	}
}
