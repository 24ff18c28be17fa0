package explain

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/finding"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
)

// Subject is the node that is looked at.
type Subject struct {
	Interface string
	Config    string // path of its configuration, "" if it has none
	// File is what that says, for findings. It may be nil.
	File   *config.Config
	Tunnel *tunnel.Tunnel
	MTU    int // of the interface in bytes, 0 if not known
	Prober Prober
	// Kernel says that the interface is the kernel's, so that its routing can
	// be asked; not so for a userspace stack.
	Kernel bool
	// Local reports, for a userspace stack, whether an address is its own. It
	// may be nil.
	Local func(netip.Addr) bool
	// Router is what such a node passes on for its peers; nil for others.
	Router *diagnose.Router
	// Endpoint returns the endpoint of a peer as it is configured, "" if none
	// is, and why its name does not resolve, nil if it does. It may be nil.
	Endpoint func(k key.Public) (written string, err error)
	// Changed returns what others have changed of what the node set on this host.
	// It may be nil.
	Changed func(ctx context.Context) ([]finding.Changed, error)
}

// Prober sends the packet that is then followed.
type Prober interface {
	// Connect opens a TCP connection and closes it again.
	Connect(ctx context.Context, to netip.AddrPort) error
	// Ping sends ICMP echo requests until one is answered.
	Ping(ctx context.Context, to netip.Addr) error
}

// facts starts the facts and a collector for them, with what is known before
// anything passes.
func (s *Subject) facts() (*diagnose.Facts, *diagnose.Collector, error) {
	st, err := s.Tunnel.Status()
	if err != nil {
		return nil, nil, err
	}
	f := &diagnose.Facts{Interface: s.Interface, Config: s.Config, PublicKey: st.PublicKey.Base64(),
		ListenPort: st.ListenPort, FwMark: st.FwMark, Router: s.Router}
	c := &diagnose.Collector{Peers: make(map[probe.PeerID]*diagnose.Peer)}
	for _, ps := range s.Tunnel.Peers() {
		conf := st.Peer(ps.Key)
		if !ps.Configured || conf == nil {
			continue
		}
		p := &diagnose.Peer{Key: ps.Key.Base64(), Name: ps.Name, AllowedIPs: conf.AllowedIPs}
		s.refresh(p, &ps)
		c.Peers[ps.ID] = p
	}
	return f, c, nil
}

// refresh brings what is not told by events up to date.
func (s *Subject) refresh(p *diagnose.Peer, ps *tunnel.PeerState) {
	p.Endpoint = ps.Endpoint
	if s.Endpoint != nil {
		written, err := s.Endpoint(ps.Key)
		p.Written, p.Resolve = written, ""
		if err != nil {
			p.Resolve = err.Error()
		}
	}
	h := &p.Handshake
	if ps.Established.After(h.Established) {
		h.Established = ps.Established
	}
	h.ClockNewest, h.Clock = ps.ClockNewest, ps.Clock
}

// nearest is the peer that comes closest to having dst in its AllowedIPs.
func nearest(peers map[probe.PeerID]*diagnose.Peer, dst netip.Addr) *diagnose.Peer {
	var best *diagnose.Peer
	length := -1
	for _, p := range peers {
		for _, prefix := range p.AllowedIPs {
			if n := common(prefix.Addr(), dst); n > length {
				best, length = p, n
			}
		}
		if best == nil && len(peers) == 1 {
			best = p
		}
	}
	return best
}

// common is the number of leading bits that two addresses have in common, -1
// for different families.
func common(a, b netip.Addr) int {
	if a.BitLen() != b.BitLen() {
		return -1
	}
	n := 0
	for n < a.BitLen() {
		p, err := a.Prefix(n + 1)
		if err != nil || !p.Contains(b) {
			break
		}
		n++
	}
	return n
}

func strangerPeer(f *diagnose.Facts, s *diagnose.Stranger, now time.Time) diagnose.PeerReport {
	v := f.StrangerVerdict(s)
	side := *f
	side.Side, side.Peer = diagnose.SideB, &diagnose.Peer{Key: s.Key}
	side.Peer.Seen[probe.B1] = s.Last
	return diagnose.PeerReport{Peer: s.Key, Side: diagnose.SideB, State: diagnose.StateFailing, Verdict: v, Ladder: side.Ladder(&v, now)}
}

// errNoProber is for a node that cannot send.
var errNoProber = fmt.Errorf("explain: this node has no way to send a probe")
