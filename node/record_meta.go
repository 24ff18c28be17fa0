package node

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/clock"
	"github.com/wgnode/wgnode/probe/recording"
	"github.com/wgnode/wgnode/tunnel"
)

// recordingMeta says where a recording that begins now comes from.
func (n *Node) recordingMeta(req *RecordRequest) (*recording.Meta, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	m := &recording.Meta{Format: recording.Format, ID: rand.Uint64(), Version: moduleVersion(), Host: host,
		Interface: n.name, Config: n.Config().Path,
		PublicKey: n.tun.PublicKey(), ListenPort: n.tun.ListenPort(), FwMark: n.tun.FwMark(),
		Kernel: n.net == nil && n.link == nil, Clock: hostClock(), Addrs: n.ownAddrs(), Filter: req.Filter, Snaplen: req.Snaplen}
	status, err := n.tun.Status()
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	for _, p := range n.tun.Peers() {
		one := n.describePeer(&p)
		if s := status.Peer(p.Key); s != nil {
			one.AllowedIPs = s.AllowedIPs
		}
		m.Peers = append(m.Peers, one)
	}
	return m, nil
}

// recordingPeer describes a peer that is new; nil if there is none.
func (n *Node) recordingPeer(id probe.PeerID) *recording.Peer {
	if _, _, ok := n.tun.Peer(id); !ok {
		return nil
	}
	p := n.tun.PeerState(id)
	one := n.describePeer(&p)
	if status, err := n.tun.Status(); err == nil { // else it is described without
		if s := status.Peer(p.Key); s != nil {
			one.AllowedIPs = s.AllowedIPs
		}
	}
	return &one
}

func (n *Node) describePeer(p *tunnel.PeerState) recording.Peer {
	written, _ := n.Endpoint(p.Key) // whether a name resolves is no concern here
	return recording.Peer{ID: p.ID, PublicKey: p.Key, Name: p.Name, Configured: p.Configured,
		Endpoint: p.Endpoint, Written: written, Handshake: p.Established}
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
