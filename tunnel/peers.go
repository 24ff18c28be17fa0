package tunnel

import (
	"iter"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/device"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/noise"
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

// handshakeState is what the latest handshake messages with a peer were.
type handshakeState struct {
	outstanding atomic.Uint32 // sender index of our latest initiation, until it is answered
	established atomic.Int64  // nanoseconds since the epoch of the latest completed handshake
	initiated   atomic.Int64  // the same of our latest initiation
	pending     atomic.Int64  // the same of the first initiation since which none was answered

	rejected   atomic.Uint32 // sender index of our latest initiation whose answer was rejected
	unanswered atomic.Uint64 // initiations of ours that were followed by another for want of an answer
	givenUp    atomic.Uint64 // times that no more were sent for a while

	mu       sync.Mutex
	newest   time.Time // initiator's clock: the highest timestamp seen
	latest   time.Time // initiator's clock: the timestamp seen last
	latestAt time.Time // our clock at that moment
}

// removedKept is how many peers are remembered, at least, that were removed.
const removedKept = 1024

// peers is the register of the peers of a tunnel, and of those that were removed last.
// An ID is not used again.
type peers struct {
	mu    sync.Mutex
	byKey map[key.Public]*peer
	gone  []*peer // were removed, in this order; some are back, or there twice

	byID  atomic.Pointer[[]*peer] // index: PeerID
	byPtr sync.Map                // *device.Peer, as the device's log names it, to *peer
}

func newPeers() *peers {
	ps := &peers{byKey: make(map[key.Public]*peer)}
	list := make([]*peer, 1, 16)
	list[0] = new(peer) // stands for "no peer", so that its drops are counted too
	ps.byID.Store(&list)
	return ps
}

// get returns the peer with this ID; that of ID 0 is nobody's.
func (ps *peers) get(id probe.PeerID) *peer {
	list := *ps.byID.Load()
	if int(id) < len(list) {
		return list[id]
	}
	return list[0]
}

// all yields every peer that is known, but nobody.
func (ps *peers) all() iter.Seq[*peer] {
	return func(yield func(*peer) bool) {
		for _, p := range *ps.byID.Load() {
			if p.id != 0 && !yield(p) {
				return
			}
		}
	}
}

// count is how many all yields.
func (ps *peers) count() int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return len(ps.byKey)
}

// removed notes that p is no peer any more.
func (ps *peers) removed(p *peer) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.gone = append(ps.gone, p)
}

// forget forgets those that were removed first and are not back, if they are many.
func (ps *peers) forget() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if len(ps.gone) < 2*removedKept {
		return
	}
	list := slices.Clone(*ps.byID.Load())
	for _, p := range ps.gone[:len(ps.gone)-removedKept] {
		if p.configured.Load() || list[p.id] != p {
			continue
		}
		list[p.id] = list[0]
		delete(ps.byKey, p.key)
		if p.ptr != nil {
			ps.byPtr.Delete(p.ptr)
			p.ptr = nil
		}
	}
	ps.gone = append(ps.gone[:0], ps.gone[len(ps.gone)-removedKept:]...)
	ps.byID.Store(&list)
}

// present reports whether p is a peer, or is becoming one.
func (p *peer) present() bool { return p.configured.Load() || p.changing.Load() }

func (ps *peers) find(k key.Public) *peer {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.byKey[k]
}

// ensure returns the peer with key k, which it adds if need be.
func (ps *peers) ensure(k key.Public) *peer {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.byKey[k]; p != nil {
		return p
	}
	list := *ps.byID.Load()
	p := &peer{id: probe.PeerID(len(list)), key: k, mac1: noise.MAC1Key(k)}
	list = append(list, p)
	ps.byKey[k] = p
	ps.byID.Store(&list)
	return p
}

// bind notes which pointer the device's log uses for p; nil forgets it.
func (ps *peers) bind(ptr *device.Peer, p *peer) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p.ptr == ptr {
		return
	}
	if p.ptr != nil {
		ps.byPtr.Delete(p.ptr)
	}
	if p.ptr = ptr; ptr != nil {
		ps.byPtr.Store(ptr, p)
	}
}

// named returns the peer that an argument of the device's log stands for, or
// nobody.
func (ps *peers) named(arg any) *peer {
	if p, ok := ps.byPtr.Load(arg); ok {
		return p.(*peer)
	}
	return ps.get(0)
}

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
