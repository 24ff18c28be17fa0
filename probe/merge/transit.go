package merge

import (
	"github.com/wgnode/wgnode/probe"
)

// transit is a message that is under way, or has been a moment ago.
type transit struct {
	message
	since     int64 // reference time when it was first seen
	sent, got int64 // by the clocks of the two hosts; 0: not seen
	hop       *hop  // the flow it carries a packet of; nil if that is not known
	arrow     *Arrow
	receipt   *probe.Event // of a handshake message that was seen to arrive first
	epoch     uint32       // of the handshake
	from      int8
	addressee int8 // who it was for; -1 if that host was not recorded
	by        int8 // who got it
	forth     bool // towards the service
	has       flags
}

type flags uint8

const (
	wasSent flags = 1 << iota
	wasGot
	wasRefused // by the sender's own host
	sentLate   // after one with a higher counter: not the way's doing
	counted    // as arrived
)

// inTransit bounds how many messages are remembered at a time. It is the window at
// 250,000 messages a second.
const inTransit = 1 << 20

// chunk is how many messages are stored together.
const chunk = 1 << 12

// transits are the messages of the latest window, oldest first.
type transits struct {
	chunks      []*[chunk]transit // the first one holds the oldest
	spare       *[chunk]transit
	first, next uint64             // places, counted from the beginning of all
	base        uint64             // place of the first chunk's first
	at          map[message]uint64 // their places
}

func newTransits() *transits { return &transits{at: make(map[message]uint64)} }

func (t *transits) place(i uint64) *transit {
	i -= t.base
	return &t.chunks[i/chunk][i%chunk]
}

// find returns the message, nil if it is not under way. The pointer is valid until
// the message is dropped.
func (t *transits) find(m message) *transit {
	if i, ok := t.at[m]; ok {
		return t.place(i)
	}
	return nil
}

// add begins to remember a message.
func (t *transits) add(m message) *transit {
	if t.next-t.base == uint64(len(t.chunks))*chunk {
		c := t.spare
		if t.spare = nil; c == nil {
			c = new([chunk]transit)
		}
		t.chunks = append(t.chunks, c)
	}
	i := t.next
	t.next++
	t.at[m] = i
	p := t.place(i)
	*p = transit{message: m, from: -1, addressee: -1, by: -1}
	return p
}

// oldest returns the message that is remembered longest, nil if there is none.
func (t *transits) oldest() *transit {
	if t.first == t.next {
		return nil
	}
	return t.place(t.first)
}

// drop forgets the oldest.
func (t *transits) drop() {
	p := t.place(t.first)
	if t.at[p.message] == t.first {
		delete(t.at, p.message)
	}
	p.hop, p.arrow, p.receipt = nil, nil, nil
	if t.first++; t.first-t.base == chunk {
		t.spare = t.chunks[0]
		t.chunks = append(t.chunks[:0], t.chunks[1:]...)
		t.base += chunk
	}
}

// full reports whether another would be too many.
func (t *transits) full() bool { return t.next-t.first >= inTransit }

// session is how far the messages under one receiver index have come.
type session struct {
	sent, got uint64 // the highest counters, plus one
}

// sessionsKept bounds how many sessions are remembered; all are forgotten then.
const sessionsKept = 1 << 15

type sessionKey struct {
	index uint32
	to    int8
}

// session returns the state of a message's session.
func (m *merger) session(k message) *session {
	key := sessionKey{k.index, k.to}
	if m.latest != nil && m.latestKey == key {
		return m.latest
	}
	s := m.sessions[key]
	if s == nil {
		if len(m.sessions) >= sessionsKept {
			clear(m.sessions)
		}
		s = new(session)
		m.sessions[key] = s
	}
	m.latest, m.latestKey = s, key
	return s
}

// batch is what a host sent to one peer at one instant: if its socket refuses, it
// refuses them all.
type batch struct {
	at       int64
	messages []message
}

const batchKept = 256

// note remembers a message of a batch.
func (b *batch) note(e *probe.Event, m message) {
	if b.at != e.Time {
		b.at, b.messages = e.Time, b.messages[:0]
	}
	if len(b.messages) < batchKept {
		b.messages = append(b.messages, m)
	}
}

// What says what a message is for.
type What uint8

// The kinds of messages that are told apart on the way.
const (
	Initiation What = iota
	Response
	Cookie
	Data // with or without content
	whats
)

var whatNames = [whats]string{"initiation", "response", "cookie", "data"}

func (w What) String() string { return whatNames[w] }

// MarshalText makes it a word in JSON.
func (w What) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// message is how one message is recognised on both hosts.
type message struct {
	counter uint64 // of data; of a response its sender index
	index   uint32 // receiver index; of an initiation the sender index
	what    What
	// to is the receiving host of a data message: two hosts may have chosen one
	// index. A handshake message may be for somebody else than who gets it.
	to int8
}

// messageOf returns what e is, but for the host that it is for, and whether it is
// a message that was sent or received.
func messageOf(e *probe.Event) (m message, ok bool) {
	if e.Seam != probe.SeamUDPSend && e.Seam != probe.SeamUDPReceive {
		return m, false
	}
	return numbersOf(e)
}

// numbersOf returns what the headers say of a message.
func numbersOf(e *probe.Event) (m message, ok bool) {
	switch e.Kind {
	case probe.KindInitiation:
		return message{index: e.Sender, what: Initiation, to: -1}, true
	case probe.KindResponse:
		return message{index: e.Receiver, counter: uint64(e.Sender), what: Response, to: -1}, true
	case probe.KindCookie:
		return message{index: e.Receiver, what: Cookie, to: -1}, true
	case probe.KindData, probe.KindKeepalive:
		return message{index: e.Receiver, counter: e.Counter, what: Data}, true
	}
	return m, false
}

// mixed is a hash by which messages are chosen for a sample: the same ones of each
// recording.
func (m *message) mixed() uint64 {
	h := (uint64(m.index)<<8 | uint64(m.what)) * 0x9e3779b97f4a7c15
	h ^= h >> 29
	h = (h ^ m.counter) * 0xbf58476d1ce4e5b9
	return h ^ h>>32
}
