package udp

import (
	"maps"
	"sync"
	"sync/atomic"
)

// refusals remembers the interfaces that cannot send joined packets
// (UDP_SEGMENT): the kernel says EIO where nobody can compute the checksums of
// what it cuts up, as on the way into IPsec and, before Linux 6.11, on
// interfaces that leave checksums to the kernel. One such interface takes
// nothing from the others. After a change to the host's network they are asked
// again. All methods may be called from any goroutine.
type refusals struct {
	mu   sync.Mutex // one writer at a time
	list atomic.Pointer[refusedList]
}

// refusedList never changes once it can be seen.
type refusedList struct {
	gen       uint32
	ifindexes map[uint32]struct{}
}

// has reports whether the interface has refused in this generation.
func (r *refusals) has(ifindex, gen uint32) bool {
	l := r.list.Load()
	if l == nil || l.gen != gen {
		return false
	}
	_, refused := l.ifindexes[ifindex]
	return refused
}

func (r *refusals) add(ifindex, gen uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := &refusedList{gen: gen, ifindexes: map[uint32]struct{}{ifindex: {}}}
	if old := r.list.Load(); old != nil && old.gen == gen {
		maps.Copy(l.ifindexes, old.ifindexes)
	}
	r.list.Store(l)
}

// refusesJoined reports whether the way to e has refused joined packets. src is
// where they leave from.
func (s *socket) refusesJoined(e *Endpoint, src source) bool {
	gen := e.gen.now()
	return e.unjoined.Load() == unjoinedIn(gen) || src.ifindex != 0 && s.refused.has(src.ifindex, gen)
}

// refuseJoined remembers it. Which interface packets leave by is known only if
// their source was learned; else it is remembered of the peer's address alone.
func (s *socket) refuseJoined(e *Endpoint, src source) {
	gen := e.gen.now()
	if src.ifindex != 0 {
		s.refused.add(src.ifindex, gen)
		return
	}
	e.unjoined.Store(unjoinedIn(gen))
}

// unjoinedIn makes the first generation, 0, different from never.
func unjoinedIn(gen uint32) uint64 { return 1<<32 | uint64(gen) }
