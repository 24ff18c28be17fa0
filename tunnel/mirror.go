package tunnel

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/noise"
)

// mirror is what the device believes, as far as it says so or can be followed.
type mirror struct {
	rec      *probe.Recorder
	peers    *peers
	allowed  *allowedIPs
	local    *sessionTable // our indices: receivers of what comes in
	remote   *sessionTable // the peers' indices: receivers of what goes out
	clock    *clock
	identity atomic.Pointer[noise.Identity]
	port     atomic.Uint32 // that the sockets are bound to
	mark     atomic.Uint32 // of what the sockets send
}

func newMirror(rec *probe.Recorder) *mirror {
	m := &mirror{rec: rec, peers: newPeers(), allowed: newAllowedIPs(),
		local: newSessionTable(), remote: newSessionTable(), clock: newClock()}
	m.identity.Store(noise.NewIdentity(key.Private{}))
	return m
}

// record records an event that is not a packet's passage of a seam.
func (m *mirror) record(e probe.Event) {
	e.Time, e.Seam, e.PrefixBits = m.clock.now(), probe.SeamDevice, probe.NoPrefix
	if e.Reason != probe.ReasonNone {
		m.peers.get(e.Peer).drop(e.Reason, 1)
	}
	m.rec.Record(probe.LaneControl, &e)
}

// peerOf returns the peer that a message was sent to or came from, by an index in its head
// that whoever is off the path cannot know; 0 if it has none of a peer's.
func (m *mirror) peerOf(head []byte, sent bool) probe.PeerID {
	if len(head) < 8 {
		return 0
	}
	table, at := m.local, 4
	switch kind := binary.LittleEndian.Uint32(head); {
	case kind == probe.TypeResponse && !sent: // its own index, then ours
		at = 8
	case kind == probe.TypeInitiation && !sent, sent && (kind == probe.TypeCookie || kind == probe.TypeData):
		table = m.remote
	case kind < probe.TypeInitiation || kind > probe.TypeData:
		return 0
	}
	if len(head) < at+4 {
		return 0
	}
	p, _ := table.lookup(binary.LittleEndian.Uint32(head[at:]))
	return p
}
