package mirror

import (
	"iter"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"golang.zx2c4.com/wireguard/device"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/noise"
)

// RemovedKept is how many peers are remembered, at least, that were removed.
const RemovedKept = 1024

// Peers is the register of the peers of a tunnel, and of those that were removed last.
// An ID is not used again.
type Peers struct {
	mu    sync.Mutex
	byKey map[key.Public]*Peer
	gone  []*Peer // were removed, in this order; some are back, or there twice

	byID  atomic.Pointer[[]*Peer] // index: PeerID
	byPtr sync.Map                // *device.Peer, as the device's log names it, to *peer
}

func newPeers() *Peers {
	ps := &Peers{byKey: make(map[key.Public]*Peer)}
	list := make([]*Peer, 1, 16)
	list[0] = new(Peer) // stands for "no peer", so that its drops are counted too
	ps.byID.Store(&list)
	return ps
}

// Get returns the peer with this ID; that of ID 0 is nobody's.
func (ps *Peers) Get(id probe.PeerID) *Peer {
	list := *ps.byID.Load()
	if int(id) < len(list) {
		return list[id]
	}
	return list[0]
}

// All yields every peer that is known, but nobody.
func (ps *Peers) All() iter.Seq[*Peer] {
	return func(yield func(*Peer) bool) {
		for _, p := range *ps.byID.Load() {
			if p.ID != 0 && !yield(p) {
				return
			}
		}
	}
}

// Count is how many all yields.
func (ps *Peers) Count() int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return len(ps.byKey)
}

// removed notes that p is no peer any more.
func (ps *Peers) removed(p *Peer) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.gone = append(ps.gone, p)
}

// forget forgets those that were removed first and are not back, if they are many.
func (ps *Peers) forget() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if len(ps.gone) < 2*RemovedKept {
		return
	}
	list := slices.Clone(*ps.byID.Load())
	for _, p := range ps.gone[:len(ps.gone)-RemovedKept] {
		if p.Configured.Load() || list[p.ID] != p {
			continue
		}
		list[p.ID] = list[0]
		delete(ps.byKey, p.Key)
		if p.ptr != nil {
			ps.byPtr.Delete(p.ptr)
			p.ptr = nil
		}
	}
	ps.gone = append(ps.gone[:0], ps.gone[len(ps.gone)-RemovedKept:]...)
	ps.byID.Store(&list)
}

// At returns the configured peer with that endpoint, or 0. Such errors are
// rare enough, the kernel limits their rate, to look at all peers.
func (ps *Peers) At(ep netip.AddrPort) probe.PeerID {
	for p := range ps.All() {
		if at := p.Endpoint.Load(); at != nil && *at == ep && p.Configured.Load() {
			return p.ID
		}
	}
	return 0
}

// Find returns the peer with key k, nil if none is known.
func (ps *Peers) Find(k key.Public) *Peer {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.byKey[k]
}

// Ensure returns the peer with key k, which it adds if need be.
func (ps *Peers) Ensure(k key.Public) *Peer {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.byKey[k]; p != nil {
		return p
	}
	list := *ps.byID.Load()
	p := &Peer{ID: probe.PeerID(len(list)), Key: k, MAC1: noise.MAC1Key(k)}
	list = append(list, p)
	ps.byKey[k] = p
	ps.byID.Store(&list)
	return p
}

// bind notes which pointer the device's log uses for p; nil forgets it.
func (ps *Peers) bind(ptr *device.Peer, p *Peer) {
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

// Named returns the peer that an argument of the device's log stands for, or
// nobody.
func (ps *Peers) Named(arg any) *Peer {
	if p, ok := ps.byPtr.Load(arg); ok {
		return p.(*Peer)
	}
	return ps.Get(0)
}
