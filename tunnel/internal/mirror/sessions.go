package mirror

import (
	"sync"
	"sync/atomic"

	"github.com/wgnode/wgnode/probe"
)

// Sessions maps session indices to peers: a hash table with linear
// probing whose readers take no lock. Writers are rare (two a handshake).
//
// A slot is one word: the index, and the peer with the initiator bit. An entry
// is not removed when its session ends, only when its peer has had
// sessionsPerPeer newer ones: what arrives for an ended session is still known
// to be the peer's.
type Sessions struct {
	mu      sync.Mutex
	slots   atomic.Pointer[[]atomic.Uint64]
	used    int                         // guarded by mu: slots that are not free
	history map[probe.PeerID]*[8]uint32 // guarded by mu: ring of indices of each peer
	at      map[probe.PeerID]int        // guarded by mu
	since   map[uint32]int64            // guarded by mu: when each index was added
}

const (
	sessionInitiator = 1 << 31 // in the low word: this side is the initiator
	sessionDeleted   = 1<<31 - 1
	sessionsPerPeer  = 8
)

func newSessions() *Sessions {
	t := &Sessions{history: make(map[probe.PeerID]*[8]uint32), at: make(map[probe.PeerID]int), since: make(map[uint32]int64)}
	s := make([]atomic.Uint64, 64)
	t.slots.Store(&s)
	return t
}

func sessionHash(index uint32) uint32 { return index * 0x9e3779b1 >> 7 }

// Lookup returns the peer of index, 0 if there is none, and whether this side
// initiated the session.
func (t *Sessions) Lookup(index uint32) (peer probe.PeerID, initiator bool) {
	s := *t.slots.Load()
	mask := uint32(len(s) - 1)
	for i := sessionHash(index); ; i++ {
		v := s[i&mask].Load()
		if v == 0 {
			return 0, false
		}
		if uint32(v>>32) == index && uint32(v)&^sessionInitiator != sessionDeleted {
			return probe.PeerID(uint32(v) &^ sessionInitiator), v&sessionInitiator != 0
		}
	}
}

// Add makes index a session of peer. An index that two peers happen to share
// is the latest one's. now is
// in nanoseconds since the epoch.
func (t *Sessions) Add(index uint32, peer probe.PeerID, initiator bool, now int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p, init := t.Lookup(index); p == peer && init == initiator {
		return
	}
	t.drop(index)
	h := t.history[peer]
	if h == nil {
		h = new([sessionsPerPeer]uint32)
		t.history[peer] = h
	}
	at := t.at[peer]
	if old := h[at%sessionsPerPeer]; at >= sessionsPerPeer && old != index {
		if p, _ := t.Lookup(old); p == peer {
			t.drop(old)
		}
	}
	h[at%sessionsPerPeer] = index
	t.since[index] = now
	t.at[peer] = at + 1

	if s := *t.slots.Load(); (t.used+1)*2 > len(s) {
		t.rebuild(s)
	}
	low := uint32(peer)
	if initiator {
		low |= sessionInitiator
	}
	t.put(*t.slots.Load(), uint64(index)<<32|uint64(low))
	t.used++
}

func (t *Sessions) put(s []atomic.Uint64, v uint64) {
	mask := uint32(len(s) - 1)
	i := sessionHash(uint32(v >> 32))
	for s[i&mask].Load() != 0 {
		i++
	}
	s[i&mask].Store(v)
}

// drop marks index as deleted; its slot is reclaimed by the next rebuild.
func (t *Sessions) drop(index uint32) {
	delete(t.since, index)
	s := *t.slots.Load()
	mask := uint32(len(s) - 1)
	for i := sessionHash(index); ; i++ {
		v := s[i&mask].Load()
		if v == 0 {
			return
		}
		if uint32(v>>32) == index && uint32(v)&^sessionInitiator != sessionDeleted {
			s[i&mask].Store(v&^0xffffffff | sessionDeleted)
			return
		}
	}
}

// Created returns when index was added, in nanoseconds since the epoch, or 0
// if it is not known.
func (t *Sessions) Created(index uint32) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.since[index]
}

// rebuild copies the live entries into a table of the right size.
func (t *Sessions) rebuild(old []atomic.Uint64) {
	live := 0
	for i := range old {
		if v := old[i].Load(); v != 0 && uint32(v)&^sessionInitiator != sessionDeleted {
			live++
		}
	}
	size := 64
	for size < (live+1)*4 {
		size *= 2
	}
	s := make([]atomic.Uint64, size)
	for i := range old {
		if v := old[i].Load(); v != 0 && uint32(v)&^sessionInitiator != sessionDeleted {
			t.put(s, v)
		}
	}
	t.used = live
	t.slots.Store(&s)
}
