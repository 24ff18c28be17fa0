//go:build linux

package kerneltunnel

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel"
)

const (
	// placesKept bounds how many endpoints of a peer are remembered, and sessionsKept how many
	// indices in all: then those that are longest unused go.
	placesKept   = 8
	sessionsKept = 4096
	// attemptTime is how long the kernel sends initiations again and again without an answer
	// (RekeyAttemptTime in the WireGuard whitepaper, section 6.1).
	attemptTime = 90 * time.Second
)

// mirror keeps what events tell of peers. A source tells of each event as it records it, so
// that no reader can be too slow, and what is asked of a peer is never behind the recorder. It
// is safe for concurrent use.
type mirror struct {
	mu     sync.Mutex
	peers  map[probe.PeerID]*peerMirror // guarded by mu; that of ID 0 has the drops that are no peer's
	local  sessions                     // guarded by mu: indices of this host's own
	remote sessions                     // guarded by mu: indices that peers have chosen
}

// peerMirror is what events have told of a peer since the watch began.
type peerMirror struct {
	heard, established, initiated, pending int64 // nanoseconds since the epoch, 0 if never

	outstanding, rejected uint32 // the index of the initiation that awaits its answer, and of one with a bad one
	unanswered, givenUp   uint64
	moves                 uint64
	places                []tunnel.Place
	drops                 map[probe.Reason]uint64
}

func newMirror() *mirror { return &mirror{peers: make(map[probe.PeerID]*peerMirror)} }

// of is what is kept of a peer.
func (m *mirror) of(id probe.PeerID) *peerMirror {
	p := m.peers[id]
	if p == nil {
		p = &peerMirror{drops: make(map[probe.Reason]uint64)}
		m.peers[id] = p
	}
	return p
}

// add takes an event of a level into account.
func (m *mirror) add(level probe.Level, e *probe.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.Dropped() {
		m.of(e.Peer).drops[e.Reason]++
	}
	if e.Peer == 0 {
		return
	}
	p := m.of(e.Peer)
	copies := level.Copies()
	switch e.Kind {
	case probe.KindInitiation, probe.KindResponse:
		m.handshake(p, e, copies)
	case probe.KindData, probe.KindKeepalive:
		switch {
		case e.Seam == probe.SeamUDPSend:
			m.remote.put(e.Receiver, e.Peer)
		case e.Seam != probe.SeamUDPReceive || copies:
		case e.Reason == probe.ReasonNone:
			m.local.put(e.Receiver, e.Peer)
			p.hear(e)
		}
	case probe.KindInner:
		// At every level it has left the tunnel because the peer may send from there.
		if e.Seam == probe.SeamTUNWrite && (!copies || !e.Dropped()) {
			p.hear(e)
			if e.Receiver != 0 { // the message was of a session of this host's
				m.local.put(e.Receiver, e.Peer)
			}
		}
	case probe.KindEndpoint:
		p.moved(e)
	}
}

// handshake takes in a handshake message. What only has the address of a peer's, copies
// of what has come in, says nothing: anybody can have sent it.
func (m *mirror) handshake(p *peerMirror, e *probe.Event, copies bool) {
	switch {
	case e.Seam == probe.SeamUDPSend && e.Kind == probe.KindInitiation:
		m.local.put(e.Sender, e.Peer)
		p.sent(e)
	case e.Seam == probe.SeamUDPSend:
		m.local.put(e.Sender, e.Peer)
		m.remote.put(e.Receiver, e.Peer)
	case copies:
	case e.Reason == probe.ResponseRejected:
		p.rejected = e.Receiver
	case e.Dropped():
	case e.Seam == probe.SeamUDPReceive:
		m.remote.put(e.Sender, e.Peer)
		p.hear(e)
	case e.Kind == probe.KindResponse: // the device has accepted it
		p.established, p.outstanding = e.Time, 0
	}
}

func (p *peerMirror) hear(e *probe.Event) { p.heard = max(p.heard, e.Time) }

// sent notes an initiation of this host's.
func (p *peerMirror) sent(e *probe.Event) {
	switch {
	case p.outstanding == 0:
		p.pending = e.Time
	case p.outstanding == p.rejected: // it was answered, if badly
	case p.established < p.initiated: // nor did the peer's own get through
		p.unanswered++
		if e.Time-p.initiated > int64(attemptTime) {
			p.givenUp++
			p.pending = e.Time
		}
	}
	p.outstanding, p.initiated = e.Sender, e.Time
}

// moved notes the endpoint that a peer has from now on.
func (p *peerMirror) moved(e *probe.Event) {
	was, ep := e.Outer()
	if was.IsValid() {
		p.moves++
	}
	next := tunnel.Place{Endpoint: ep, Learned: e.Flags&probe.FlagEndpointMoved != 0, Since: e.When()}
	if n := len(p.places); n > 0 {
		p.hearAt(&p.places[n-1])
	}
	if i := slices.IndexFunc(p.places, func(old tunnel.Place) bool { return old.Endpoint == ep }); i >= 0 {
		next.Heard = p.places[i].Heard
		p.places = slices.Delete(p.places, i, i+1)
	} else if len(p.places) == placesKept {
		p.places = slices.Delete(p.places, 0, 1)
	}
	p.places = append(p.places, next)
}

// hearAt notes when the peer was heard last at the place that it has.
func (p *peerMirror) hearAt(at *tunnel.Place) {
	if p.heard != 0 && p.heard >= at.Since.UnixNano() {
		at.Heard = time.Unix(0, p.heard)
	}
}

// at is a time, zero for 0.
func at(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// fill adds to the state of a peer, which has what the kernel itself tells of it, what events
// have told.
func (m *mirror) fill(s *tunnel.PeerState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Drops = make(map[probe.Reason]uint64)
	p := m.peers[s.ID]
	if p == nil {
		s.Heard = s.Established
		return
	}
	maps.Copy(s.Drops, p.drops)
	s.Established = later(s.Established, at(p.established))
	s.Heard = later(s.Established, at(p.heard)) // a handshake that is complete was heard, too
	s.Moves, s.Unanswered, s.GivenUp, s.Initiated = p.moves, p.unanswered, p.givenUp, at(p.initiated)
	if p.outstanding != 0 && s.Initiated.After(s.Established) {
		s.InitiationPending, s.PendingSince = true, at(p.pending)
	}
	if s.Places = slices.Clone(p.places); len(s.Places) == 0 {
		return
	}
	p.hearAt(&s.Places[len(s.Places)-1])
}

// peerOf is the peer that a message was sent to or came from, by an index in its head.
func (m *mirror) peerOf(head []byte, sent bool) probe.PeerID {
	if len(head) < 8 {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	table, at := &m.local, 4
	switch kind := binary.LittleEndian.Uint32(head); {
	case kind == probe.TypeResponse && !sent: // its own index, then ours
		at = 8
	case kind == probe.TypeInitiation && !sent, sent && (kind == probe.TypeCookie || kind == probe.TypeData):
		table = &m.remote
	case kind < probe.TypeInitiation || kind > probe.TypeData:
		return 0
	}
	if len(head) < at+4 {
		return 0
	}
	return table.get(binary.LittleEndian.Uint32(head[at:]))
}

// sessions are whose the indices are that were used last.
type sessions struct{ young, old map[uint32]probe.PeerID }

func (s *sessions) put(index uint32, id probe.PeerID) {
	if s.young[index] == id {
		return
	}
	if len(s.young) >= sessionsKept/2 {
		s.old, s.young = s.young, nil
	}
	if s.young == nil {
		s.young = make(map[uint32]probe.PeerID)
	}
	s.young[index] = id
}

func (s *sessions) get(index uint32) probe.PeerID {
	if id, ok := s.young[index]; ok {
		return id
	}
	return s.old[index]
}
