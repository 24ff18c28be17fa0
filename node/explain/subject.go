package explain

import (
	"context"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/finding"
	"github.com/wgnode/wgnode/probe/key"
)

// Subject is the node that is looked at.
type Subject struct {
	Interface string
	Config    string // path of its configuration, "" if it has none
	// File is what that says, for findings. It may be nil.
	File *config.Config
	// Unread is why a file that may be the configuration's was not read, nil if none was left out.
	Unread error
	// Load reads the file of Config as it is now. It may be nil.
	Load   func() (*config.Config, error)
	Tunnel Tunnel
	MTU    int // of the interface in bytes, 0 if not known
	Prober Prober
	// As returns one that probes as the process with that number would; nil if there is none.
	As func(pid int) (Prober, error)
	// Settle returns when what has happened is in the tunnel's flight recorder, or the context
	// ends. nil: it is there as it happens.
	Settle func(context.Context)
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
	// Addresses returns all addresses of the name that a peer's endpoint is written as, the
	// preferred one first. It may be nil.
	Addresses func(k key.Public) []netip.AddrPort
	// Changed returns what others have changed of what the node set on this host.
	// It may be nil.
	Changed func(ctx context.Context) ([]finding.Changed, error)
}

// Prober sends the packet that is then followed. Each method calls ready, at least once
// if anything leaves.
type Prober interface {
	// Connect opens a TCP connection and closes it again.
	Connect(ctx context.Context, to netip.AddrPort, ready Ready) error
	// Ping sends ICMP echo requests until one is answered.
	Ping(ctx context.Context, to netip.Addr, ready Ready) error
}

// Ready is told by what the packet is known from others: the source port of the
// connection, or the identifier of the echoes; 0 if it cannot be known. Where this host's
// kernel is to be watched the packet leaves when Ready has returned; elsewhere it may have
// left.
type Ready func(id uint16)

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

// strangers are those of all who have not become peers meanwhile.
func (s *Subject) strangers(all []diagnose.Stranger) []diagnose.Stranger {
	if len(all) == 0 {
		return nil // as a rule; and listing all peers takes time
	}
	known := make(map[key.Public]bool)
	for _, p := range s.Tunnel.Peers() {
		known[p.Key] = p.Configured
	}
	return slices.DeleteFunc(slices.Clone(all), func(s diagnose.Stranger) bool { return known[s.Key] })
}
