package merge

import (
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
)

// lostKept bounds how many lost messages are named.
const lostKept = 10_000

// Lost is one message that was lost on the way, by the numbers that stand in it.
type Lost struct {
	From string    `json:"from"` // the host that sent it
	To   string    `json:"to"`
	What What      `json:"what"`
	Leg  string    `json:"leg"`  // "A4-B3": the checkpoints before and after
	Sent time.Time `json:"sent"` // by the sender's clock
	// Receiver and Counter are those of a data message, Receiver and Sender those
	// of a response, Sender that of an initiation.
	Receiver uint32 `json:"receiver"`
	Sender   uint32 `json:"sender"`
	Counter  uint64 `json:"counter"`
	// Kernel says which of the two hosts' kernels has dropped it; nil if none is known to.
	Kernel *ByKernel `json:"kernel,omitempty"`
	// The packet in it, where that is known.
	Client netip.Addr     `json:"client,omitzero"`
	Target netip.AddrPort `json:"target,omitzero"`

	from, to int8
	hop      *hop
	forth    bool
}

// name keeps a lost message, for the result, and in case that it comes after all. by is the kernel's
// word, nil if there is none.
func (m *merger) name(t *transit, by *Dropped) {
	if len(m.lost) >= lostKept {
		m.lostLeft++
		return
	}
	a, b := m.hosts[t.from], m.hosts[t.addressee]
	l := Lost{From: a.label(), To: b.label(), What: t.what, Leg: legName(t.what, t.hop != nil, t.forth), Sent: time.Unix(0, t.sent).UTC(),
		from: t.from, to: t.addressee, hop: t.hop, forth: t.forth}
	switch t.what {
	case Data:
		l.Receiver, l.Counter = t.index, t.counter
	case Response:
		l.Receiver, l.Sender = t.index, uint32(t.counter)
	case Initiation:
		l.Sender = t.index
	case Cookie:
		l.Receiver = t.index
	}
	if t.hop != nil {
		l.Client, l.Target = t.hop.key.client.Netip(), t.hop.target()
	}
	if by != nil {
		by.joins(t, &l)
		l.Kernel = &by.ByKernel
	}
	m.lostAt[t.message] = len(m.lost)
	m.lost = append(m.lost, l)
}

// late takes back that a message was lost which arrives after the window, and
// reports whether it is one.
func (m *merger) late(h *host, k message) bool {
	i, ok := m.lostAt[k]
	if !ok || m.lost[i].to != h.index {
		return false
	}
	l := &m.lost[i]
	delete(m.lostAt, k)
	legs := []*Leg{m.leg(k.what, l.from, l.to)}
	if l.hop != nil {
		legs = append(legs, l.hop.leg(l.forth))
	}
	for _, leg := range legs {
		leg.Lost--
		leg.Arrived++
		leg.hist.add(h.headAt - m.hosts[l.from].reference(l.Sent.UnixNano()))
	}
	l.What = whats // no more
	return true
}

// legName names the way of a message by the checkpoints at its ends.
func legName(w What, flow, forth bool) string {
	switch {
	case w == Initiation:
		return probe.A2.String() + "-" + probe.B1.String()
	case w == Response || w == Cookie:
		return probe.B2.String() + "-" + probe.A3.String()
	case !flow:
		return ""
	case forth:
		return probe.A4.String() + "-" + probe.B3.String()
	}
	return probe.B8.String() + "-" + probe.A5.String()
}

// picture keeps a message for the pictures of its flow, or of its hosts'
// handshakes.
func (m *merger) picture(t *transit, e *probe.Event) {
	a := Arrow{What: t.what, From: t.from, To: t.addressee, Checkpoint: e.Checkpoint, Counter: t.counter}
	if t.by >= 0 {
		a.To = t.by
	}
	if t.has&wasSent != 0 {
		a.Sent = m.hosts[t.from].reference(t.sent)
	}
	if t.has&wasGot != 0 {
		a.Got = m.hosts[t.by].reference(t.got)
	}
	switch {
	case t.arrow != nil:
		*t.arrow = a
	case t.hop != nil:
		t.arrow = t.hop.draw(a)
	case t.what != Data && t.from >= 0 && a.To >= 0:
		k := [2]int8{min(t.from, a.To), max(t.from, a.To)}
		if len(m.calls[k]) < arrowsKept {
			kept := a
			t.arrow = &kept
			m.calls[k] = append(m.calls[k], &kept)
		}
	}
}

// mark changes a message's arrow. One to which something happened gets its own if
// it has none.
func (m *merger) mark(t *transit, change func(*Arrow)) {
	if t.arrow == nil && t.hop != nil {
		a := Arrow{What: t.what, From: t.from, To: t.addressee, Counter: t.counter, Checkpoint: sentAt(t)}
		if t.has&wasSent != 0 {
			a.Sent = m.hosts[t.from].reference(t.sent)
		}
		if t.has&wasGot != 0 {
			a.Got = m.hosts[t.by].reference(t.got)
		}
		t.arrow = t.hop.drawTrouble(a)
	}
	if t.arrow != nil {
		change(t.arrow)
	}
}

// sentAt is the checkpoint at which a flow's message was sent.
func sentAt(t *transit) probe.Checkpoint {
	switch {
	case t.what == Initiation:
		return probe.A2
	case t.what != Data:
		return probe.B2
	case t.forth:
		return probe.A4
	}
	return probe.B8
}

// Translation is how the addresses of messages changed on the way from one host to
// another.
type Translation struct {
	From string `json:"from"`
	To   string `json:"to"`
	// SentFrom is the port that the sender sent from, SentTo where to; SeenFrom is
	// what the receiver saw, and SeenAt the port that it got there.
	SentFrom uint16         `json:"sent_from_port"`
	SentTo   netip.AddrPort `json:"sent_to"`
	SeenFrom netip.AddrPort `json:"seen_from"`
	SeenAt   uint16         `json:"seen_at_port"`
	// Source says whether the source was translated: yes, no, or "" if the sender's
	// own addresses are not known and its port was kept.
	Source string `json:"source"`
	// Destination is yes where the message did not come to the port that it was
	// sent to.
	Destination string `json:"destination"`
	// Changes is how often the sender was seen from elsewhere than before: it roamed,
	// or somebody on the way forgot it.
	Changes int `json:"changes"`
}

// translation notes where a message of another host is seen to come from.
func (m *merger) translation(t *transit, h *host, e *probe.Event) {
	if t.has&wasSent == 0 || t.from < 0 {
		return
	}
	k := [2]int8{t.from, h.index}
	n := m.nat[k]
	src, _ := e.Outer()
	if n != nil && n.SeenFrom == src {
		return
	}
	a := m.hosts[t.from]
	if n == nil {
		n = &Translation{From: a.label(), To: h.label()}
		m.nat[k] = n
	} else {
		n.Changes++
	}
	n.SeenFrom, n.SeenAt = src, e.OuterDstPort
	n.SentFrom, n.SentTo = a.ListenPort, netip.AddrPort{}
	if p := a.facts.Peers[m.peerID(a, h)]; p != nil {
		n.SentTo = p.Endpoint
	}
	n.Source, n.Destination = "", "no"
	switch {
	case src.Port() != n.SentFrom:
		n.Source = "yes"
	case len(a.Addrs) > 0 && has(a.Addrs, src.Addr()):
		n.Source = "no"
	case len(a.Addrs) > 0:
		n.Source = "yes"
	}
	if n.SentTo.IsValid() && n.SentTo.Port() != n.SeenAt {
		n.Destination = "yes"
	}
}

func has(addrs []netip.Addr, a netip.Addr) bool {
	for _, x := range addrs {
		if x == a {
			return true
		}
	}
	return false
}

// peerID is what a's events call b, 0 if it is no peer.
func (m *merger) peerID(a, b *host) probe.PeerID {
	for id, i := range a.others {
		if i == b.index {
			return id
		}
	}
	return 0
}
