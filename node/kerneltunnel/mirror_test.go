//go:build linux

package kerneltunnel

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel"
)

const second = int64(time.Second)

// told is a mirror that has been told of some events, seconds after the epoch.
func told(level probe.Level, events ...probe.Event) *mirror {
	m := newMirror()
	for i := range events {
		e := &events[i]
		e.Time *= second
		m.add(level, e)
	}
	return m
}

// state is that of peer 1, of which the kernel itself tells when it completed a handshake last.
func (m *mirror) state(established time.Time) tunnel.PeerState {
	s := tunnel.PeerState{ID: 1, Established: established}
	m.fill(&s)
	return s
}

func initiation(at int64, index uint32) probe.Event {
	return probe.Event{Time: at, Peer: 1, Kind: probe.KindInitiation, Seam: probe.SeamUDPSend, Sender: index}
}

func response(at int64, index uint32, why probe.Reason) probe.Event {
	return probe.Event{Time: at, Peer: 1, Kind: probe.KindResponse, Seam: probe.SeamUDPReceive, Sender: 70, Receiver: index, Reason: why}
}

func accepted(at int64) probe.Event {
	return probe.Event{Time: at, Peer: 1, Kind: probe.KindResponse, Seam: probe.SeamDevice}
}

func TestHandshakeState(t *testing.T) {
	for _, c := range []struct {
		name            string
		level           probe.Level
		events          []probe.Event
		kernel          int64 // when the kernel completed a handshake, 0 if it has not said so
		pending         bool
		since           int64
		unanswered      uint64
		established, on int64 // seconds; on is when the peer was heard
	}{
		{"nothing seen, the kernel knows", probe.LevelExact, nil, 5, false, 0, 0, 5, 5},
		{"nothing seen or known", probe.LevelExact, nil, 0, false, 0, 0, 0, 0},
		{"asked once", probe.LevelExact, []probe.Event{initiation(7, 1)}, 5, true, 7, 0, 5, 5},
		{"asked again", probe.LevelExact, []probe.Event{initiation(7, 1), initiation(12, 2)}, 0, true, 7, 1, 0, 0},
		{"answered", probe.LevelExact, []probe.Event{initiation(7, 1), response(8, 1, 0), accepted(8)}, 0, false, 0, 0, 8, 8},
		{"answered badly", probe.LevelExact, []probe.Event{initiation(7, 1), response(8, 1, probe.ResponseRejected), initiation(12, 2)},
			0, true, 7, 0, 0, 0},
		{"answered, as the kernel says", probe.LevelCapture, []probe.Event{initiation(7, 1), response(8, 1, 0)}, 8, false, 0, 0, 8, 8},
		{"a copy of an answer", probe.LevelCapture, []probe.Event{initiation(7, 1), response(8, 1, 0)}, 0, true, 7, 0, 0, 0},
		{"the peer asked instead", probe.LevelExact, []probe.Event{initiation(7, 1)}, 9, false, 0, 0, 9, 9},
	} {
		m := told(c.level, c.events...)
		var kernel time.Time
		if c.kernel != 0 {
			kernel = time.Unix(c.kernel, 0)
		}
		s := m.state(kernel)
		if s.InitiationPending != c.pending || c.pending && s.PendingSince.Unix() != c.since || s.Unanswered != c.unanswered {
			t.Errorf("%s: pending %t since %v, %d unanswered", c.name, s.InitiationPending, s.PendingSince, s.Unanswered)
		}
		if !s.Established.Equal(at(c.established*second)) || !s.Heard.Equal(at(c.on*second)) {
			t.Errorf("%s: established %v, heard %v", c.name, s.Established, s.Heard)
		}
	}
}

// What anybody could have sent in the name of a peer does not count as heard of it.
func TestHeard(t *testing.T) {
	data := probe.Event{Time: 3, Peer: 1, Kind: probe.KindData, Seam: probe.SeamUDPReceive, Receiver: 9}
	inner := probe.Event{Time: 4, Peer: 1, Kind: probe.KindInner, Seam: probe.SeamTUNWrite}
	forged := data
	forged.Reason = probe.AuthenticationFailed
	disallowed := inner
	disallowed.Reason = probe.DisallowedSource
	for _, c := range []struct {
		name  string
		level probe.Level
		e     probe.Event
		heard int64
	}{
		{"decrypted", probe.LevelExact, data, 3},
		{"not decrypted", probe.LevelExact, forged, 0},
		{"a copy", probe.LevelCapture, data, 0},
		{"a copy, decrypted later", probe.LevelHalf, data, 0},
		{"came out of the tunnel", probe.LevelCapture, inner, 4},
		{"from a source that is not the peer's", probe.LevelExact, disallowed, 4},
	} {
		if s := told(c.level, c.e).state(time.Time{}); !s.Heard.Equal(at(c.heard * second)) {
			t.Errorf("%s: heard %v", c.name, s.Heard)
		}
	}
}

// Drops are counted, of peers and of nobody.
func TestDrops(t *testing.T) {
	stranger := probe.Event{Kind: probe.KindInitiation, Seam: probe.SeamUDPReceive, Reason: probe.UnknownPeer}
	m := told(probe.LevelExact, stranger, stranger, response(1, 1, probe.ResponseStale))
	nobody := tunnel.PeerState{}
	m.fill(&nobody)
	if s := m.state(time.Time{}); s.Drops[probe.ResponseStale] != 1 || len(s.Drops) != 1 || nobody.Drops[probe.UnknownPeer] != 2 {
		t.Errorf("peer %v, nobody %v", s.Drops, nobody.Drops)
	}
}

// A peer's endpoints are remembered, and whether its packets came from there.
func TestPlaces(t *testing.T) {
	const a, b = "192.0.2.1:1", "192.0.2.2:2"
	moved := func(at int64, from, to string, flags uint8) probe.Event {
		e := probe.Event{Time: at, Peer: 1, Kind: probe.KindEndpoint, Seam: probe.SeamDevice, Flags: probe.Flags(flags)}
		if from != "" {
			ep := netip.MustParseAddrPort(from)
			e.OuterSrc, e.OuterSrcPort = probe.AddrFrom(ep.Addr()), ep.Port()
		}
		ep := netip.MustParseAddrPort(to)
		e.OuterDst, e.OuterDstPort = probe.AddrFrom(ep.Addr()), ep.Port()
		return e
	}
	m := told(probe.LevelExact, moved(1, "", a, 0), moved(5, a, b, uint8(probe.FlagEndpointMoved)))
	s := tunnel.PeerState{ID: 1, Endpoint: netip.MustParseAddrPort(b)}
	m.fill(&s)
	if s.Moves != 1 || len(s.Places) != 2 || !s.Learned() || s.Places[0].Endpoint.String() != a {
		t.Errorf("%d moves, %+v", s.Moves, s.Places)
	}
	s = tunnel.PeerState{ID: 1, Endpoint: netip.MustParseAddrPort(a)} // set since
	if m.fill(&s); s.Learned() {
		t.Error("an endpoint that was set passes for a learned one")
	}
}

// A message is put down to a peer by an index of a session, and an initiation of a
// stranger's to nobody.
func TestPeerOf(t *testing.T) {
	sent := probe.Event{Peer: 1, Kind: probe.KindData, Seam: probe.SeamUDPSend, Receiver: 50}
	received := probe.Event{Peer: 1, Kind: probe.KindData, Seam: probe.SeamUDPReceive, Receiver: 60}
	half := probe.Event{Peer: 1, Kind: probe.KindInner, Seam: probe.SeamTUNWrite, Receiver: 61}
	exact := told(probe.LevelExact, initiation(1, 40), response(2, 40, 0), sent, received)
	copies := told(probe.LevelCapture, initiation(1, 40), response(2, 40, 0), sent, received)
	head := func(kind byte, own, other uint32) []byte {
		b := binary.LittleEndian.AppendUint32(make([]byte, 0, 12), uint32(kind))
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, own), other)
	}
	for _, c := range []struct {
		name          string
		head          []byte
		sent          bool
		exact, copied probe.PeerID
	}{
		{"own initiation", head(probe.TypeInitiation, 40, 0), true, 1, 1},
		{"answer to it", head(probe.TypeResponse, 99, 40), false, 1, 1},
		{"answer to another", head(probe.TypeResponse, 99, 41), false, 0, 0},
		{"cookie for it", head(probe.TypeCookie, 40, 0), false, 1, 1},
		{"data to the peer", head(probe.TypeData, 50, 0), true, 1, 1},
		{"data in a session that the peer accepted", head(probe.TypeData, 70, 0), true, 1, 0},
		{"data of a session", head(probe.TypeData, 60, 0), false, 1, 0},
		{"data of none", head(probe.TypeData, 61, 0), false, 0, 0},
		{"an initiation", head(probe.TypeInitiation, 5, 0), false, 0, 0},
		{"too short", []byte{4, 0, 0, 0}, false, 0, 0},
		{"no message", head(9, 40, 0), true, 0, 0},
	} {
		if got := exact.peerOf(c.head, c.sent); got != c.exact {
			t.Errorf("%s: peer %d", c.name, got)
		}
		if got := copies.peerOf(c.head, c.sent); got != c.copied {
			t.Errorf("%s, by copies: peer %d", c.name, got)
		}
	}
	if told(probe.LevelHalf, half).peerOf(head(probe.TypeData, 61, 0), false) != 1 {
		t.Error("a session that a packet came out of is not the peer's")
	}
	var s sessions
	for i := range uint32(3 * sessionsKept) {
		s.put(i, 1)
	}
	if n := len(s.young) + len(s.old); n > sessionsKept || s.get(3*sessionsKept-1) != 1 {
		t.Errorf("%d are kept", n)
	}
}
