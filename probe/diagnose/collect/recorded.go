package collect

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/recording"
)

// Recorded is the [Knowledge] of a recording: that of its beginning, and the peers that
// it has come to know since. It does not know why names do not resolve, nor what the
// peers' clocks say but by events.
func Recorded(m *recording.Meta) Knowledge { return recorded{m} }

type recorded struct{ meta *recording.Meta }

// Node implements [Knowledge].
func (r recorded) Node() Node {
	m := r.meta
	return Node{Interface: m.Interface, Config: m.Config, PublicKey: m.PublicKey, ListenPort: m.ListenPort, FwMark: m.FwMark,
		Level: m.Level}
}

// Peers implements [Knowledge]. Those that were removed are among them: events may be
// older than that.
func (r recorded) Peers() []Peer {
	peers := make([]Peer, len(r.meta.Peers))
	for i := range r.meta.Peers {
		p := &r.meta.Peers[i]
		peers[i] = Peer{ID: p.ID, Key: p.PublicKey, Name: p.Name, AllowedIPs: p.AllowedIPs, State: stateOf(p)}
	}
	return peers
}

// State implements [Knowledge].
func (r recorded) State(id probe.PeerID) State {
	for i := range r.meta.Peers {
		if p := &r.meta.Peers[i]; p.ID == id {
			return stateOf(p)
		}
	}
	return State{}
}

func stateOf(p *recording.Peer) State {
	return State{Endpoint: p.Endpoint, Written: p.Written, Established: p.Handshake,
		Learned: p.Written == "" && p.Endpoint.IsValid()}
}

// Lookup implements [Knowledge], by what the recording knows of AllowedIPs.
func (r recorded) Lookup(a netip.Addr) (id probe.PeerID) {
	best := -1
	for i := range r.meta.Peers {
		p := &r.meta.Peers[i]
		for _, prefix := range p.AllowedIPs {
			if prefix.Bits() > best && prefix.Contains(a) && p.Configured {
				id, best = p.ID, prefix.Bits()
			}
		}
	}
	return id
}
