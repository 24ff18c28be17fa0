package control

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/clock"
	"github.com/wgnode/wgnode/probe/recording"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// recordingMeta says where a recording that begins now comes from.
func recordingMeta(it Served, req *RecordRequest) (*recording.Meta, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	s := it.Subject()
	status, err := s.Tunnel.Status()
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	m := &recording.Meta{Format: recording.Format, ID: rand.Uint64(), Version: moduleVersion(), Host: host,
		Interface: s.Interface, Config: s.Config, Level: s.Tunnel.Level(),
		PublicKey: status.PublicKey, ListenPort: status.ListenPort, FwMark: status.FwMark,
		Kernel: s.Kernel, Clock: hostClock(), Addrs: it.Addresses(), Filter: req.Filter, Snaplen: req.Snaplen}
	said := status.ByKey()
	for _, p := range s.Tunnel.Peers() {
		m.Peers = append(m.Peers, describePeer(&s, &p, said[p.Key]))
	}
	return m, nil
}

// recordingPeer describes a peer that is new; nil if there is none.
func recordingPeer(it Served, id probe.PeerID) *recording.Peer {
	if _, _, ok := it.Peer(id); !ok {
		return nil
	}
	s := it.Subject()
	p := s.Tunnel.PeerState(id)
	var said *uapi.PeerStatus
	if status, err := s.Tunnel.Status(); err == nil { // else it is described as far as it is known
		said = status.Peer(p.Key)
	}
	one := describePeer(&s, &p, said)
	return &one
}

// describePeer describes a peer; said is what the device says of it, nil if that is not known.
func describePeer(s *explain.Subject, p *tunnel.PeerState, said *uapi.PeerStatus) recording.Peer {
	one := recording.Peer{ID: p.ID, PublicKey: p.Key, Name: p.Name, Configured: p.Configured,
		Endpoint: p.Endpoint, Handshake: p.Established}
	if s.Endpoint != nil {
		one.Written, _ = s.Endpoint(p.Key) // whether a name resolves is no concern here
	}
	if said != nil {
		one.AllowedIPs = said.AllowedIPs
	}
	return one
}

// hostClock describes the host's clock as it is now.
func hostClock() recording.Clock {
	c, _ := clock.Read() // where nothing is known of it, it is not synchronized
	return recording.Clock{Started: c.Wall, Monotonic: c.Monotonic.Nanoseconds(), Source: c.Source,
		Synchronized: c.Synchronized, MaxError: c.MaxError.Nanoseconds()}
}

// moduleVersion is the version of this module, "" where the program has none.
func moduleVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}
