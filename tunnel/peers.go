package tunnel

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

// at returns the configured peer with that endpoint, or 0. Such errors are
// rare enough, the kernel limits their rate, to look at all peers.
func (ps *peers) at(ep netip.AddrPort) probe.PeerID {
	for p := range ps.all() {
		if at := p.endpoint.Load(); at != nil && *at == ep && p.configured.Load() {
			return p.id
		}
	}
	return 0
}

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
