package mirror

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/noise"
)

// Mirror is what the device believes, as far as it says so or can be followed. What is
// new about a peer that no packet shows it records as events of the device.
type Mirror struct {
	rec      *probe.Recorder
	Peers    *Peers
	Allowed  *AllowedIPs
	Local    *Sessions // our indices: receivers of what comes in
	Remote   *Sessions // the peers' indices: receivers of what goes out
	Clock    *Clock
	Identity atomic.Pointer[noise.Identity]
	Port     atomic.Uint32 // that the sockets are bound to
	Mark     atomic.Uint32 // of what the sockets send
}

// New returns the mirror of a device without a key, peers and sockets.
func New(rec *probe.Recorder) *Mirror {
	m := &Mirror{rec: rec, Peers: newPeers(), Allowed: newAllowedIPs(),
		Local: newSessions(), Remote: newSessions(), Clock: newClock()}
	m.Identity.Store(noise.NewIdentity(key.Private{}))
	return m
}

// Record records an event that is not a packet's passage of a seam.
func (m *Mirror) Record(e probe.Event) {
	e.Time, e.Seam, e.PrefixBits = m.Clock.Now(), probe.SeamDevice, probe.NoPrefix
	if e.Reason != probe.ReasonNone {
		m.Peers.Get(e.Peer).Drop(e.Reason, 1)
	}
	m.rec.Record(probe.LaneControl, &e)
}

// PeerOf returns the peer that a message was sent to or came from, by an index in its head
// that whoever is off the path cannot know; 0 if it has none of a peer's.
func (m *Mirror) PeerOf(head []byte, sent bool) probe.PeerID {
	if len(head) < 8 {
		return 0
	}
	table, at := m.Local, 4
	switch kind := binary.LittleEndian.Uint32(head); {
	case kind == probe.TypeResponse && !sent: // its own index, then ours
		at = 8
	case kind == probe.TypeInitiation && !sent, sent && (kind == probe.TypeCookie || kind == probe.TypeData):
		table = m.Remote
	case kind < probe.TypeInitiation || kind > probe.TypeData:
		return 0
	}
	if len(head) < at+4 {
		return 0
	}
	p, _ := table.Lookup(binary.LittleEndian.Uint32(head[at:]))
	return p
}
