package mirror

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// placesKept bounds how many endpoints of a peer are remembered.
const placesKept = 8

// Place is an endpoint that a peer has or has had.
type Place struct {
	Endpoint netip.AddrPort
	Learned  bool // by the peer's packets; otherwise it was set
	Since    time.Time
	Heard    time.Time // there; zero if never
}

// places are the endpoints of one peer, each once, in the order in which they were used
// last.
type places struct {
	mu   sync.Mutex
	list []Place // guarded by mu
}

// settle notes that the peer's endpoint is ep from now on, in nanoseconds since the epoch.
func (p *Peer) settle(ep netip.AddrPort, learned bool, now int64) {
	heard := p.Heard.Load()
	if learned && now-heard < int64(time.Second) {
		now = heard // by the packet that shows it
	}
	s := &p.places
	s.mu.Lock()
	defer s.mu.Unlock()
	next := Place{Endpoint: ep, Learned: learned, Since: time.Unix(0, now)}
	if n := len(s.list); n > 0 {
		last := &s.list[n-1]
		last.hear(heard)
		if last.Endpoint == ep {
			last.Learned = learned
			return
		}
	}
	if i := slices.IndexFunc(s.list, func(old Place) bool { return old.Endpoint == ep }); i >= 0 {
		next.Heard = s.list[i].Heard
		s.list = slices.Delete(s.list, i, i+1)
	} else if len(s.list) == placesKept {
		s.list = slices.Delete(s.list, 0, 1)
	}
	s.list = append(s.list, next)
}

// hear notes when the peer was heard last, if it has been there since.
func (p *Place) hear(at int64) {
	if at != 0 && at >= p.Since.UnixNano() {
		p.Heard = time.Unix(0, at)
	}
}

// Places returns the places, the present one last.
func (p *Peer) Places() []Place {
	s := &p.places
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.list)
	if n := len(all); n > 0 {
		all[n-1].hear(p.Heard.Load())
	}
	return all
}
