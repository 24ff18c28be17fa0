package merge

import (
	"slices"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// This file has the ladder of both hosts show one packet, and one answer: each host's
// facts hold the first that it saw, or the latest that it is asked, which need not be the
// one that the other saw.

// exchangesKept is how many events of a flow's are kept in each direction, of its first
// and of its latest.
const exchangesKept = 16

// passage are events of one direction of a flow.
type passage struct {
	first, latest []probe.Event
	next          int // in latest, once that is full
}

func (p *passage) add(e *probe.Event) {
	switch {
	case len(p.first) < exchangesKept:
		p.first = append(p.first, *e)
	case len(p.latest) < exchangesKept:
		p.latest = append(p.latest, *e)
	default:
		p.latest[p.next] = *e
		p.next = (p.next + 1) % exchangesKept
	}
}

// find returns the event at a checkpoint that is, nil if it is not kept.
func (p *passage) find(cp probe.Checkpoint, is func(*probe.Event) bool) *probe.Event {
	for _, events := range [][]probe.Event{p.first, p.latest} {
		at := slices.IndexFunc(events, func(e probe.Event) bool { return e.Checkpoint == cp && is(&e) })
		if at >= 0 {
			return &events[at]
		}
	}
	return nil
}

// keep remembers what passed, for the ladder.
func (f *hop) keep(e *probe.Event, forth bool) {
	if f.a >= 0 && f.b >= 0 {
		f.passages[way(forth)].add(e)
	}
}

// oneExchange returns the flow as the two hosts saw it, with the events of the packet that
// b wrote to its interface, and of the answer that a did, wherever they are kept.
func (f *hop) oneExchange(a, b *diagnose.Flow) (*diagnose.Flow, *diagnose.Flow) {
	if a == nil || b == nil {
		return a, b
	}
	atA, atB := *a, *b
	forth, back := &f.passages[0], &f.passages[1]
	forth.follow(atB.Seen[probe.B4], &atA, probe.A1, probe.A4, &atB, probe.B3)
	back.follow(atA.Seen[probe.A6], &atB, probe.B7, probe.B8, &atA, probe.A5)
	return &atA, &atB
}

// follow puts into the flows the events of the packet that left the tunnel as out: where it
// entered it, and the message that it was in.
func (p *passage) follow(out *probe.Event, from *diagnose.Flow, in, sent probe.Checkpoint, to *diagnose.Flow, got probe.Checkpoint) {
	if out == nil {
		return
	}
	put := func(f *diagnose.Flow, e *probe.Event) {
		if e != nil {
			f.Seen[e.Checkpoint] = e
		}
	}
	same := func(e *probe.Event) bool { return e.Receiver == out.Receiver && e.Counter == out.Counter }
	put(to, p.find(got, same))
	message := p.find(sent, same)
	if put(from, message); message != nil {
		put(from, p.find(in, func(e *probe.Event) bool { return e.Seq == message.Pair }))
	}
}
