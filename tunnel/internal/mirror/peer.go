package mirror

import (
	"net/netip"
	"sync/atomic"

	"golang.zx2c4.com/wireguard/device"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
)

// Peer is what the tunnel knows of one peer. A peer that is removed and added again
// keeps its ID and its counters, unless many others were removed since.
//
// What is written for every packet lies in cache lines apart from what is only
// read for it.
type Peer struct {
	ID         probe.PeerID
	Configured atomic.Bool
	changing   atomic.Bool                    // an operation that names it is under way, see operation
	Endpoint   atomic.Pointer[netip.AddrPort] // mirror of the device's; nil: none
	ClientSet  atomic.Pointer[netip.AddrPort] // the endpoint that a client of the UAPI socket set last; nil: the node itself did
	Key        key.Public

	Out Way    // inner packets from TUN read to UDP send
	In  [2]Way // data messages from UDP receive to TUN write, for each receive function

	Heard  atomic.Int64 // nanoseconds since the epoch of the latest authenticated message from the peer
	placed atomic.Int64 // the same of the latest change of endpoint
	_      [48]byte

	// Of the goroutine that reads the TUN device: since when no packet has left.
	StillLeft  uint64
	StillSince int64

	MAC1 [32]byte // key of the mac1 of messages to this peer
	name atomic.Pointer[string]
	ptr  *device.Peer // guarded by Peers.mu

	// What the device said of this peer in its log since the accountant last
	// looked: messages that are no TUN write and yet no silent drop.
	Keepalives, Disallowed, BadVersion atomic.Int64

	Drops     [probe.NumReasons]atomic.Uint64
	Moves     atomic.Uint64 // times that the endpoint became another one
	places    places
	Handshake Handshake
}

// Way counts the packets of one peer in one direction, in the order in which
// the device keeps them. Every packet gets an ordinal, from 1, as it enters.
// Packets leave in that order (but see account.Departures), so one that leaves
// shows that all before it have left or been dropped.
type Way struct {
	Entered atomic.Uint64 // ordinal of the latest that entered
	_       [56]byte      // the two ends are written by different processors
	Left    atomic.Uint64 // ordinal up to which the fate of all is known
	_       [56]byte
}

// Leave notes that first to last have left. It returns the range of those
// before them whose fate is not known; none if from > to.
func (w *Way) Leave(first, last uint64) (from, to uint64) {
	for {
		left := w.Left.Load()
		if last <= left { // known already: given up, or overtaken
			return 1, 0
		}
		if w.Left.CompareAndSwap(left, last) {
			return left + 1, first - 1
		}
	}
}

// Inside is how many packets have entered and not left.
func (w *Way) Inside() uint64 { return w.Entered.Load() - w.Left.Load() }

// Present reports whether p is a peer, or is becoming one.
func (p *Peer) Present() bool { return p.Configured.Load() || p.changing.Load() }

// Way is the one that packets in state s are on.
func (p *Peer) Way(s tag.State) *Way {
	if s == tag.Outbound {
		return &p.Out
	}
	return &p.In[s-tag.Inbound4]
}

// SetName notes the name that people call it by.
func (p *Peer) SetName(name string) { p.name.Store(&name) }

// Name is the one that was set, empty if none was.
func (p *Peer) Name() string {
	if n := p.name.Load(); n != nil {
		return *n
	}
	return ""
}

// Drop counts n packets that were dropped for r.
func (p *Peer) Drop(r probe.Reason, n int) { p.Drops[r].Add(uint64(n)) }
