package explain

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// Knowledge is what the running tunnel knows. It lists the peers that it has now; their
// states are those of when they are asked for.
func (s *Subject) Knowledge() (collect.Knowledge, error) {
	st, err := s.configuration()
	if err != nil {
		return nil, err
	}
	return &live{s, st}, nil
}

// configuration is what the device was told. A tunnel of wgnode's keeps that.
func (s *Subject) configuration() (*uapi.Status, error) {
	if t, ok := s.Tunnel.(interface {
		Configuration() (*uapi.Status, error)
	}); ok {
		return t.Configuration()
	}
	return s.Tunnel.Status()
}

// live is the knowledge of a running tunnel.
type live struct {
	*Subject
	status *uapi.Status
}

// Node implements [collect.Knowledge].
func (l *live) Node() collect.Node {
	return collect.Node{Interface: l.Interface, Config: l.Config, PublicKey: l.status.PublicKey,
		ListenPort: l.status.ListenPort, FwMark: l.status.FwMark, Router: l.Router, Level: l.Tunnel.Level()}
}

// Peers implements [collect.Knowledge]. They are those that are configured.
func (l *live) Peers() []collect.Peer {
	told := l.status.ByKey()
	peers := make([]collect.Peer, 0, len(told))
	for _, ps := range l.Tunnel.Peers() {
		conf := told[ps.Key]
		if !ps.Configured || conf == nil {
			continue
		}
		peers = append(peers, collect.Peer{ID: ps.ID, Key: ps.Key, Name: ps.Name, AllowedIPs: conf.AllowedIPs, State: l.stateOf(&ps)})
	}
	return peers
}

// State implements [collect.Knowledge].
func (l *live) State(id probe.PeerID) collect.State {
	ps := l.Tunnel.PeerState(id)
	return l.stateOf(&ps)
}

// Lookup implements [collect.Knowledge].
func (l *live) Lookup(a netip.Addr) probe.PeerID {
	r, _ := l.Tunnel.Lookup(a)
	return r.Peer
}

func (s *Subject) stateOf(ps *tunnel.PeerState) collect.State {
	state := collect.State{Endpoint: ps.Endpoint, Set: ps.ClientSet.IsValid() && ps.ClientSet == ps.Endpoint,
		Learned: ps.Learned(), Heard: ps.Heard, Established: ps.Established,
		ClockNewest: ps.ClockNewest, Clock: ps.Clock, Complete: s.Tunnel.Level().Copies()}
	if n := len(ps.Places); s.Tunnel.Level().Kernel() && (n == 0 || ps.Places[n-1].Endpoint != ps.Endpoint) {
		state.Unplaced = true // the kernel does not tell
	}
	for _, p := range ps.Places {
		if p.Endpoint != ps.Endpoint {
			state.Earlier = append(state.Earlier, diagnose.Place{Endpoint: p.Endpoint, Heard: p.Heard})
		}
	}
	if s.Addresses != nil {
		state.Addresses = s.Addresses(ps.Key)
	}
	if s.Endpoint != nil {
		written, err := s.Endpoint(ps.Key)
		if state.Written = written; err != nil {
			state.Unresolved = err.Error()
		}
	}
	return state
}
