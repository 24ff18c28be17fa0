package merge

import (
	"cmp"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/diagnose/rules"
	"github.com/wgnode/wgnode/probe/diagnose/twosided"
	"github.com/wgnode/wgnode/probe/evidence"
)

// facts are what a host knows of a flow, or (without one) of a peer.
func (m *merger) facts(h *host, side probe.Side, flow *diagnose.Flow, peer int32, other *host) *diagnose.Facts {
	f := collect.FactsFrom(collect.Recorded(&h.Meta))
	f.Side, f.Flow = side, flow
	for id, n := range h.keys {
		if n == peer && peer != 0 {
			f.Peer = h.facts.Peers[id]
		}
	}
	if flow != nil && has(h.Addrs, flow.Target.Addr()) {
		flow.Route.Local = true
	}
	h.testify(f, m.seenFrom(other, h))
	// Strangers are judged by what is known from both sides.
	return f
}

// both are the facts about two hosts. b is nil if it was not recorded.
func (m *merger) both(a, b *host, fa, fb *diagnose.Flow, bKey int32) *twosided.Facts {
	d := &twosided.Facts{NameA: a.label(), EndA: a.ended()}
	d.A = m.facts(a, probe.SideA, fa, bKey, b)
	if b == nil {
		d.NameB = cmp.Or(m.names[bKey], "the peer")
		return d
	}
	d.B = m.facts(b, probe.SideB, fb, a.self, a)
	d.NameB, d.EndB = b.label(), b.ended()
	m.vouch(a, b, d.B)
	m.vouch(b, a, d.A)
	m.attest(a, d.A, b)
	m.attest(b, d.B, a)
	if r := m.shook[[2]int8{a.index, b.index}]; r != nil {
		d.Calls, d.Answers = r.forth.way(b), r.back.way(a)
	}
	if n := m.nat[[2]int8{a.index, b.index}]; n != nil {
		d.Untranslated = n.Source == "no"
	}
	switch {
	case m.set(a, b):
		d.Apart = "one of the clocks was set meanwhile"
	case m.pairOf(a, b) == nil && a.group != b.group:
		d.Apart = "no message shows how the clocks differ"
		if !m.anyPair() { // nothing at all gets through: the hosts' word must do
			d.Apart = ""
		}
	}
	return d
}

// vouch takes back that anybody could have sent what the kernel of a host has dropped, if it
// is an initiation that the other host's recording has, by the index that this one drew.
func (m *merger) vouch(from, to *host, f *diagnose.Facts) {
	in := f.Kernel.On(evidence.FromWire)
	if d := in.KernelDrop; d != nil && d.Claimed && m.lacks(from, to, d.Sender) {
		own := *d
		own.Claimed = false
		in.KernelDrop = &own
	}
	if in.Claimed() && m.lacks(from, to, in.Sender) {
		in.Whose = evidence.Secret
	}
}

// lacks reports whether an initiation with an index was lost between two hosts.
func (m *merger) lacks(from, to *host, sender uint32) bool {
	return sender != 0 && slices.ContainsFunc(m.lost, func(l Lost) bool {
		return l.What == Initiation && l.from == from.index && l.to == to.index && l.Sender == sender
	})
}

func (m *merger) anyPair() bool { return len(m.pairs) > 0 }

// way words a tally of messages to a host; nil if it was not recorded.
func (t *tally) way(to *host) twosided.Way {
	w := twosided.Way{Sent: t.sent, Arrived: t.arrived, Lost: t.lost, Unknown: t.unknown, Reasons: t.reasons}
	if t.lost > 0 && to != nil {
		w.LatestLost = time.Unix(0, to.raw(t.latest))
	}
	if t.arrived > 0 {
		latest := t.from
		w.Latest, w.LatestReason = &latest, t.why
	}
	return w
}

func (l *Leg) way() twosided.Way {
	return twosided.Way{Sent: int(l.Sent), Arrived: int(l.Arrived), Lost: int(l.Lost), Unknown: int(l.Unknown)}
}

// judgeLink judges the handshakes of two hosts, as the one sees them that calls in
// vain; nil where neither does.
func (m *merger) judgeLink(a, b *host) *diagnose.Verdict {
	for _, h := range [][2]*host{{a, b}, {b, a}} {
		from, to := h[0], h[1]
		d := m.both(from, to, nil, nil, to.self)
		if d.A.Peer == nil {
			d.A.Peer = m.wrongKey(from, to)
		}
		if d.A.Peer == nil || d.A.Peer.Handshake.Sent == 0 {
			continue
		}
		if v := d.Judge(); v.Code != diagnose.Idle {
			return &v
		}
	}
	return nil
}

// wrongKey is the peer that from has another key for: to gets its calls, and cannot
// read them. nil if there is none.
func (m *merger) wrongKey(from, to *host) *diagnose.Peer {
	r := m.shook[[2]int8{from.index, to.index}]
	if r == nil || r.forth.why != probe.InvalidMAC1 {
		return nil
	}
	for id, p := range from.facts.Peers {
		if from.other(id) < 0 && p.Handshake.Sent > 0 {
			return p
		}
	}
	return nil
}

// callee is the host that is called by a key that is nobody's: who gets such calls
// of a.
func (m *merger) callee(a *host, key int32) *host {
	for _, b := range m.hosts {
		if p := m.wrongKey(a, b); p != nil && b != a {
			for id, n := range a.keys {
				if n == key && a.facts.Peers[id] == p {
					return b
				}
			}
		}
	}
	return nil
}

// judge finds the verdict on a flow between two ends, and its ladder.
func (m *merger) judge(f *hop) (diagnose.Verdict, []diagnose.Rung) {
	if f.a < 0 {
		return m.judgeB(f)
	}
	a := m.hosts[f.a]
	var b *host
	if f.b >= 0 {
		b = m.hosts[f.b]
	} else if b = m.callee(a, f.key.b); b != nil {
		f.b = b.index
	}
	flows, forth, back := f.judged(a.ends, a, b)
	d := m.both(a, b, flows[0], flows[1], f.key.b)
	d.Forth, d.Back = forth, back
	f.attest(a, d.A, a.ends)
	f.attest(b, d.B, a.ends)
	v := d.Judge()
	end := d.EndA
	if d.B != nil {
		d.A.Flow, d.B.Flow = f.oneExchange(d.A.Flow, d.B.Flow)
	}
	rungs := m.rungs(a, d.A, f, &v, end)
	if b != nil {
		rungs = append(rungs, m.rungs(b, d.B, f, &v, d.EndB)...)
	}
	f.placeDrops(rungs, a.ends)
	return v, rungs
}

// judgeB judges a flow of which only the called side was recorded.
func (m *merger) judgeB(f *hop) (diagnose.Verdict, []diagnose.Rung) {
	b := m.hosts[f.b]
	facts := m.facts(b, probe.SideB, f.facts[1], f.key.a, nil)
	end := b.ended()
	f.attest(b, facts, b.ends)
	v, _ := rules.Judge(facts, end)
	v.Host = b.label()
	if !v.Certain && v.Code != diagnose.Idle {
		v.Evidence = append(v.Evidence, evidence.Inferred.Says("what only the other side can know is missing: it was not recorded"))
	}
	rungs := m.rungs(b, facts, f, &v, end)
	f.placeDrops(rungs, b.ends)
	return v, rungs
}
