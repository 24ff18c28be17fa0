package tunnel

import (
	"net/netip"
	"sync/atomic"

	"golang.zx2c4.com/wireguard/device"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
)

// peer is what the tunnel knows of one peer. A peer that is removed and added again
// keeps its ID and its counters, unless many others were removed since.
//
// What is written for every packet lies in cache lines apart from what is only
// read for it.
type peer struct {
	id         probe.PeerID
	configured atomic.Bool
	changing   atomic.Bool                    // an operation that names it is under way, see operation
	endpoint   atomic.Pointer[netip.AddrPort] // mirror of the device's; nil: none
	clients    atomic.Pointer[netip.AddrPort] // the endpoint that a client of the UAPI socket set last; nil: the node itself did
	key        key.Public

	out way    // inner packets from TUN read to UDP send
	in  [2]way // data messages from UDP receive to TUN write, for each receive function

	heard  atomic.Int64 // nanoseconds since the epoch of the latest authenticated message from the peer
	placed atomic.Int64 // the same of the latest change of endpoint
	_      [48]byte

	// Of the goroutine that reads the TUN device: since when no packet has left.
	stillLeft  uint64
	stillSince int64

	mac1 [32]byte // key of the mac1 of messages to this peer
	name atomic.Pointer[string]
	ptr  *device.Peer // guarded by peers.mu

	// What the device said of this peer in its log since the accountant last
	// looked: messages that are no TUN write and yet no silent drop.
	keepalives, disallowed, badVersion atomic.Int64

	drops     [probe.NumReasons]atomic.Uint64
	moves     atomic.Uint64 // times that the endpoint became another one
	places    places
	handshake handshakeState
}

// way counts the packets of one peer in one direction, in the order in which
// the device keeps them. Every packet gets an ordinal, from 1, as it enters.
// Packets leave in that order (but see accountant.late), so one that leaves
// shows that all before it have left or been dropped.
type way struct {
	entered atomic.Uint64 // ordinal of the latest that entered
	_       [56]byte      // the two ends are written by different processors
	left    atomic.Uint64 // ordinal up to which the fate of all is known
	_       [56]byte
}

// leave notes that first to last have left. It returns the range of those
// before them whose fate is not known; none if from > to.
func (w *way) leave(first, last uint64) (from, to uint64) {
	for {
		left := w.left.Load()
		if last <= left { // known already: given up, or overtaken
			return 1, 0
		}
		if w.left.CompareAndSwap(left, last) {
			return left + 1, first - 1
		}
	}
}

// inside is how many packets have entered and not left.
func (w *way) inside() uint64 { return w.entered.Load() - w.left.Load() }

// present reports whether p is a peer, or is becoming one.
func (p *peer) present() bool { return p.configured.Load() || p.changing.Load() }

// way is the one that packets in state s are on.
func (p *peer) way(s tag.State) *way {
	if s == tag.Outbound {
		return &p.out
	}
	return &p.in[s-tag.Inbound4]
}

func (p *peer) setName(name string) { p.name.Store(&name) }

func (p *peer) displayName() string {
	if n := p.name.Load(); n != nil {
		return *n
	}
	return ""
}

func (p *peer) drop(r probe.Reason, n int) { p.drops[r].Add(uint64(n)) }
