package merge

import (
	"time"

	"github.com/wgnode/wgnode/probe"
)

// grace is how long before the end of a recording a message must have been sent to
// be missed there.
const grace = int64(time.Second)

// sent takes a message into account that left a host.
func (m *merger) sent(h *host, e *probe.Event, k message, f *hop, forth bool) {
	to := h.other(e.Peer)
	if k.what == Data {
		if to < 0 {
			h.elsewhere++
			return // nobody recorded it but the sender
		}
		k.to = to
	}
	if b := h.batches[e.Peer]; b == nil {
		b = new(batch)
		h.batches[e.Peer] = b
		b.note(e, k)
	} else {
		b.note(e, k)
	}
	t := m.transits.find(k)
	if t == nil || t.has&wasSent != 0 {
		// The second of two sent under one number is another message.
		t = m.begin(k)
	}
	t.has |= wasSent
	t.from, t.addressee, t.sent = h.index, to, e.Time
	if f != nil {
		t.hop, t.forth = f, forth
	}
	if k.what == Data {
		s := m.session(k)
		if k.counter+1 < s.sent {
			t.has |= sentLate
		} else {
			s.sent = k.counter + 1
		}
	}
	if to >= 0 && (k.what == Initiation || k.what == Response) {
		r := m.recent(k.what, h.index, to)
		t.epoch = r.epoch
		r.of(k.what).sent++
	}
	if t.hop != nil {
		t.epoch = t.hop.epoch
		t.hop.since[way(t.forth)].sent++
	}
	m.picture(t, e)
	if t.has&wasGot != 0 {
		m.met(t)
		if t.receipt != nil {
			m.arrivedHandshake(t, t.receipt.Reason, t.receipt)
		}
	}
}

// got takes a message into account that a host received.
func (m *merger) got(h *host, e *probe.Event, k message, f *hop, forth bool) {
	if k.what == Data {
		k.to = h.index
	}
	t := m.transits.find(k)
	if t == nil && m.late(h, k) {
		return
	}
	overtaken := false
	if k.what == Data {
		s := m.session(k)
		if k.counter+1 > s.got {
			s.got = k.counter + 1
		} else {
			overtaken = true
		}
	}
	if t != nil && t.has&wasGot != 0 {
		m.again(t)
		return
	}
	if t == nil {
		t = m.begin(k)
		t.from = h.other(e.Peer)
	}
	t.has |= wasGot
	t.got, t.by = e.Time, h.index
	if t.hop == nil && f != nil {
		t.hop, t.forth = f, forth
	} else if f != nil && f != t.hop {
		t.hop.strange++
	}
	if t.has&wasSent == 0 {
		m.picture(t, e)
	}
	if t.has&wasSent != 0 {
		m.met(t)
		if k.what == Initiation || k.what == Response {
			m.arrivedHandshake(t, e.Reason, e)
		}
	} else if k.what == Initiation || k.what == Response {
		kept := *e
		t.receipt = &kept
	}
	if overtaken && t.has&sentLate == 0 {
		m.overtaken(t)
	}
	m.translation(t, h, e)
}

// begin remembers a new message. Where there are too many, the oldest is settled
// early, and nothing is said of it.
func (m *merger) begin(k message) *transit {
	if m.transits.full() {
		m.crowded++
		old := m.transits.oldest()
		if old.has&(wasSent|wasGot) == wasSent {
			m.each(old, func(l *Leg) { l.Sent++; l.Unknown++ })
		} else {
			m.settle(old)
		}
		m.transits.drop()
	}
	t := m.transits.add(k)
	t.since = m.now
	return t
}

// each calls f for what a message is counted in: the leg between its hosts, and its
// flow's.
func (m *merger) each(t *transit, f func(*Leg)) {
	to := t.by
	if to < 0 {
		to = t.addressee
	}
	if to < 0 && t.what == Data || t.from < 0 && to < 0 {
		return
	}
	f(m.leg(t.what, t.from, to))
	if t.hop != nil {
		f(t.hop.leg(t.forth))
	}
}

func (m *merger) leg(w What, from, to int8) *Leg {
	k := [2]int8{from, to}
	legs := m.legs[k]
	if legs == nil {
		legs = new([whats]Leg)
		m.legs[k] = legs
	}
	return &legs[w]
}

func (f *hop) leg(forth bool) *Leg { return &f.legs[way(forth)] }

// met: a message was seen on both hosts.
func (m *merger) met(t *transit) {
	if t.has&counted != 0 {
		return
	}
	t.has |= counted
	if t.what == Data {
		if n := m.epochOf(t); n != nil {
			n.arrived++
		}
	}
	a, b := m.hosts[t.from], m.hosts[t.by]
	delay := b.reference(t.got) - a.reference(t.sent)
	m.each(t, func(l *Leg) {
		l.Sent++
		l.Arrived++
		l.hist.add(delay)
	})
	if t.arrow != nil {
		t.arrow.Sent, t.arrow.Got = a.reference(t.sent), b.reference(t.got)
	}
	if p := m.pairOf(a, b); p != nil && a != b {
		if a == p.a {
			p.exact.forth(t.sent, t.got)
		} else {
			p.exact.back(t.sent, t.got)
		}
	}
	if t.what == Response {
		m.roundTrip(t)
	}
}

// roundTrip measures the handshake that a response belongs to: how long both of
// its messages were under way together, whatever the clocks.
func (m *merger) roundTrip(t *transit) {
	call := m.transits.find(message{index: t.index, what: Initiation, to: -1})
	if call == nil || call.has&counted == 0 || call.from != t.by || call.by != t.from {
		return
	}
	k := [2]int8{min(t.from, t.by), max(t.from, t.by)}
	trip := (t.got - call.sent) - (t.sent - call.got)
	if old, ok := m.trips[k]; trip >= 0 && (!ok || trip < old) {
		m.trips[k] = trip
	}
}

// again: a message arrives once more.
func (m *merger) again(t *transit) {
	m.each(t, func(l *Leg) { l.Duplicated++ })
	m.mark(t, func(a *Arrow) { a.Twice = true })
}

func (m *merger) overtaken(t *transit) {
	m.each(t, func(l *Leg) { l.Reordered++ })
	m.mark(t, func(a *Arrow) { a.Overtaken = true })
}

// settle says what became of a message that is not under way any more.
func (m *merger) settle(t *transit) {
	switch {
	case t.has&counted != 0:
	case t.has&wasSent != 0:
		m.absent(t)
	default:
		m.unsent(t)
	}
}

// absent: nobody got the message.
func (m *merger) absent(t *transit) {
	a := m.hosts[t.from]
	if t.addressee < 0 {
		a.elsewhere++
		return
	}
	b := m.hosts[t.addressee]
	at := a.reference(t.sent)
	by := m.dropOf(t)
	switch {
	case t.has&wasRefused != 0:
		m.each(t, func(l *Leg) { l.Sent++; l.Refused++ })
		m.mark(t, func(a *Arrow) { a.Refused = true })
		return
	case by != nil:
	case a.group != b.group && len(m.pairs) > 0, m.set(a, b), !b.covers(at, at+grace):
		m.each(t, func(l *Leg) { l.Sent++; l.Unknown++ })
		if r := m.epochOf(t); r != nil {
			r.unknown++
		}
		return
	}
	m.each(t, func(l *Leg) { l.Sent++; l.Lost++ })
	m.mark(t, func(a *Arrow) {
		if a.Lost = true; by != nil {
			a.Kernel = &by.ByKernel
		}
	})
	if r := m.epochOf(t); r != nil {
		r.lost++
		r.latest = at
	}
	m.name(t, by)
}

// set reports whether a clock of two hosts was set meanwhile.
func (m *merger) set(a, b *host) bool {
	p := m.pairOf(a, b)
	return p != nil && !p.fit.even
}

// unsent: the message arrived, and nobody is known to have sent it.
func (m *merger) unsent(t *transit) {
	if t.from < 0 {
		return // from a peer that was not recorded
	}
	a, b := m.hosts[t.from], m.hosts[t.by]
	at := b.reference(t.got)
	stray := a.covers(at-int64(window), at) && !m.set(a, b) && a.group == b.group
	m.each(t, func(l *Leg) {
		l.Unsent++
		if stray {
			l.Stray++
		}
	})
}

// said takes into account what a host's device says.
func (m *merger) said(h *host, e *probe.Event, f *hop) {
	switch {
	case e.Reason == probe.SendError:
		b := h.batches[e.Peer]
		if b == nil {
			return
		}
		for _, k := range b.messages {
			if t := m.transits.find(k); t != nil && t.from == h.index {
				t.has |= wasRefused
			}
		}
	case e.Kind == probe.KindResponse && !e.Dropped():
		if to := h.other(e.Peer); to >= 0 {
			r := m.recent(Initiation, h.index, to)
			*r = recent{epoch: r.epoch + 1}
		}
	case e.Kind == probe.KindData && e.Dropped():
		k := message{index: e.Receiver, counter: e.Counter, what: Data, to: h.index}
		if t := m.transits.find(k); t != nil {
			m.mark(t, func(a *Arrow) { a.Dropped = e.Reason })
		}
	}
}

// recent returns the handshakes that from and to have had of late, of that
// initiator: the sender of an initiation, the receiver of a response.
func (m *merger) recent(w What, from, to int8) *recent {
	k := [2]int8{from, to}
	if w == Response {
		k = [2]int8{to, from}
	}
	r := m.shook[k]
	if r == nil {
		r = new(recent)
		m.shook[k] = r
	}
	return r
}

func (r *recent) of(w What) *tally {
	if w == Initiation {
		return &r.forth
	}
	return &r.back
}

// epochOf returns the count that a message is in, nil if that is over.
func (m *merger) epochOf(t *transit) *tally {
	if t.hop != nil && t.what == Data {
		if t.hop.epoch != t.epoch {
			return nil
		}
		return &t.hop.since[way(t.forth)]
	}
	if t.what != Initiation && t.what != Response || t.from < 0 || t.addressee < 0 {
		return nil
	}
	r := m.recent(t.what, t.from, t.addressee)
	if r.epoch != t.epoch {
		return nil
	}
	return r.of(t.what)
}

// arrivedHandshake counts a handshake message that was seen on both hosts. e is its
// receipt.
func (m *merger) arrivedHandshake(t *transit, reason probe.Reason, e *probe.Event) {
	r := m.recent(t.what, t.from, t.by)
	if t.addressee == t.by && t.epoch != r.epoch {
		return
	}
	n := r.of(t.what)
	n.arrived++
	n.from, n.why = *e, reason
	if reason != probe.ReasonNone {
		if n.reasons == nil {
			n.reasons = make(map[probe.Reason]int)
		}
		n.reasons[reason]++
	}
}
