package flowtrace

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/flows"
)

// newSpan draws an id that no other host has to know.
func newSpan() (id SpanID) {
	binary.NativeEndian.PutUint64(id[:], rand.Uint64()|1)
	return id
}

// begin follows an opening packet. The one before, if it still waits, has no answer.
func (t *Tracer) begin(e *probe.Event, k flows.Key, side probe.Side) *attempt {
	f := t.flows[k]
	if f == nil {
		t.makeRoom()
		f = &flow{key: k}
		t.flows[k] = f
		f.at = t.recent.PushBack(f)
	}
	a := &attempt{flow: f, side: side, top: newSpan(), host: newSpan(), begun: e.Time, lost: t.lost}
	if old := f.now; old != nil {
		if old.pending() {
			t.settle(old, e.Time)
		}
		if f.openings > 0 && old.known {
			a.before = &Link{old.trace, old.top, "repeats"}
		}
		t.forget(old)
	}
	f.now, f.last = a, e.Time
	f.openings++
	a.waits = t.waiting.PushBack(a)
	return a
}

// makeRoom has the flow that is silent longest go, if there are as many as there may be.
func (t *Tracer) makeRoom() {
	if len(t.flows) < t.opt.MaxFlows {
		return
	}
	f := t.recent.Front().Value.(*flow)
	if a := f.now; a.pending() {
		a.settled = true
		t.waiting.Remove(a.waits)
		t.counts.Forgotten++
	}
	t.forget(f.now)
	t.recent.Remove(f.at)
	delete(t.flows, f.key)
}

// forget leaves an attempt to no further join.
func (t *Tracer) forget(a *attempt) {
	if t.traces[a.trace] == a {
		delete(t.traces, a.trace)
	}
	if k := apart(a.flow.key); t.within[k] == a {
		delete(t.within, k)
	}
}

// apart is a flow's key without the peer: what two tunnels, or two peers, of one hub share.
func apart(k flows.Key) flows.Key {
	k.Peer = 0
	return k
}

// name gives an attempt its trace, and its place in that.
func (t *Tracer) name(a *attempt, id TraceID, content bool) {
	if a.side == probe.SideB {
		t.nameB(a, id, content)
		return
	}
	in := t.within[apart(a.flow.key)] // how this hub has got it from another peer, if its addresses are the same
	if !in.pending() || in.flow == a.flow {
		in = nil
	}
	switch old := t.traces[id]; {
	case content && in != nil && in.content && in.trace == id:
		t.goesOn(a, in)
	case content && in != nil:
		return // it looks the same as another flow: by its message, then
	case content && old == nil:
		t.traces[id] = a
	case content && old.side == probe.SideB && old.flow.key.Peer != a.flow.key.Peer && old.pending() && !old.shared && old.next == nil:
		t.goesOn(a, old) // under another address
	case content:
		return
	case in != nil: // in another message, so each of the two is its own trace
		a.links = append(a.links, Link{in.trace, in.host, "comes from"})
		in.links = append(in.links, Link{id, a.top, "goes on"})
	}
	a.trace, a.known, a.content = id, true, content
}

// goesOn makes what a hub sends on a part of the trace of what it has got.
func (t *Tracer) goesOn(a, in *attempt) {
	a.parent, a.from, in.next = in.host, in, a
}

func (t *Tracer) nameB(a *attempt, id TraceID, content bool) {
	if old := t.traces[id]; content && old != nil && old.flow != a.flow {
		// Two flows that look the same: only their messages tell them apart.
		old.shared = true
		peer, _, _ := t.opt.Peer(a.flow.key.Peer)
		id, content = traceOfMessage(a.in, peer, t.opt.Self()), false
	}
	a.trace, a.known, a.content = id, true, content
	a.parent, a.remote = wire(id, a.in), true
	t.traces[id] = a
	t.within[apart(a.flow.key)] = a
}

// droppedInside is for a packet that the device has dropped.
func (t *Tracer) droppedInside(e *probe.Event, f *flow) {
	switch {
	case f == nil:
	case !f.now.pending():
		t.dropLater(f.now, e)
	case e.Pair != 0 && (f.now.side == probe.SideA && e.Pair == f.now.seq || e.Pair == f.now.answer):
		t.fail(f.now, e)
	}
}

// fail is for an opening, or an answer, that this host has dropped.
func (t *Tracer) fail(a *attempt, e *probe.Event) {
	a.reason, a.dropAt, a.dropped = e.Reason, e.Time, e.Checkpoint
	t.settle(a, e.Time)
}

// Tick settles what has waited long enough by a time.
func (t *Tracer) Tick(now int64) {
	for at := t.waiting.Front(); at != nil; at = t.waiting.Front() {
		a := at.Value.(*attempt)
		if now-a.begun < int64(AnswerTime) {
			return
		}
		t.settle(a, now)
	}
}

// Next is the time at which something is to be settled, 0 if nothing waits.
func (t *Tracer) Next() int64 {
	if at := t.waiting.Front(); at != nil {
		return at.Value.(*attempt).begun + int64(AnswerTime)
	}
	return 0
}

// settle ends to wait for an answer, and hands the spans out if they are to be kept.
func (t *Tracer) settle(a *attempt, now int64) {
	a.settled = true
	t.waiting.Remove(a.waits)
	if a.answered() {
		a.flow.openings = 0
	}
	if a.answered() || a.flow.openings >= maxOpenings {
		t.seen.note(&a.flow.key, now)
	}
	t.export(a, now)
}

// answered reports whether the answer has come through this host.
func (a *attempt) answered() bool {
	return a.times[probe.A6] != 0 || a.times[probe.B8] != 0
}
