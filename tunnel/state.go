package tunnel

import (
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/mirror"
)

// Route is where cryptokey routing sends an address.
type Route struct {
	Peer   probe.PeerID
	Prefix netip.Prefix
}

// Lookup finds the peer whose AllowedIPs hold a, as the device will.
func (t *Tunnel) Lookup(a netip.Addr) (Route, bool) {
	a = a.Unmap()
	id, bits := t.m.Allowed.Lookup(a)
	if id == 0 {
		return Route{}, false
	}
	p, err := a.Prefix(int(bits))
	return Route{id, p}, err == nil
}

// Peer resolves an ID as events hold it, and reports whether there is such a
// peer. A peer that was removed still has its key and name, for as long as it is
// remembered.
func (t *Tunnel) Peer(id probe.PeerID) (k key.Public, name string, ok bool) {
	p := t.m.Peers.Get(id)
	if p.ID == 0 {
		return k, "", false
	}
	return p.Key, p.Name(), true
}

// Place is an endpoint that a peer has or has had.
type Place struct {
	Endpoint netip.AddrPort
	// Learned: a packet of the peer's came from there. Otherwise it was set: by the
	// configuration, its name, or a client of the UAPI socket.
	Learned bool
	Since   time.Time
	// Heard is when the latest authenticated message of the peer's came while this was its
	// endpoint; zero if none did.
	Heard time.Time
}

// PeerState is what the tunnel knows of a peer beyond what the device says.
type PeerState struct {
	ID         probe.PeerID
	Key        key.Public
	Name       string
	Configured bool
	Endpoint   netip.AddrPort // zero if none is known
	// Places are the endpoints that it has had, the present one last; a few of them.
	Places []Place
	// Heard is when its latest authenticated message came, zero if none did.
	Heard time.Time
	// ClientSet is the endpoint that a client of the UAPI socket has set, zero if the
	// node itself was the last to set one.
	ClientSet netip.AddrPort
	// Moves is how often the endpoint became another one: because the peer's
	// messages came from there, or by SetEndpoint.
	Moves uint64
	Drops map[probe.Reason]uint64 // nil: none
	// Unanswered is how many of our initiations were followed by another one
	// because no response had come, and GivenUp how often the device sent no more
	// of them, after 90 s.
	Unanswered, GivenUp uint64
	// Waiting is how many packets are inside the device, mostly because there
	// is no session yet.
	Waiting uint64
	// Established is when the latest handshake was completed (initiator) or
	// answered (responder); zero if none was.
	Established time.Time
	// InitiationPending: our latest initiation has not been answered.
	// PendingSince is then when we sent the first of those that were not.
	InitiationPending bool
	PendingSince      time.Time
	// Initiated is when we sent our latest initiation; zero if never.
	Initiated time.Time
	// ClockNewest is the highest time that the peer stated in an initiation,
	// Clock the latest, at ClockAt by this host's clock. Only for a peer that
	// initiates.
	ClockNewest, Clock, ClockAt time.Time
}

// Learned reports whether the peer's endpoint is known by its packets alone: nobody has
// set it.
func (s *PeerState) Learned() bool {
	n := len(s.Places)
	return n > 0 && s.Endpoint.IsValid() && s.Places[n-1].Endpoint == s.Endpoint && s.Places[n-1].Learned
}

// Peers returns the state of all peers, and of those that were removed last.
func (t *Tunnel) Peers() []PeerState {
	states := make([]PeerState, 0, t.m.Peers.Count())
	for p := range t.m.Peers.All() {
		states = append(states, stateOf(p))
	}
	return states
}

// PeerState returns the state of one peer; that of ID 0 holds the drops that
// are no peer's.
func (t *Tunnel) PeerState(id probe.PeerID) PeerState { return stateOf(t.m.Peers.Get(id)) }

// StateOf returns the state of the peer with key k, and reports whether it is
// configured now.
func (t *Tunnel) StateOf(k key.Public) (PeerState, bool) {
	p := t.m.Peers.Find(k)
	if p == nil {
		return PeerState{}, false
	}
	s := stateOf(p)
	return s, s.Configured
}

func stateOf(p *mirror.Peer) PeerState {
	s := PeerState{ID: p.ID, Key: p.Key, Name: p.Name(), Configured: p.Configured.Load()}
	if ep := p.Endpoint.Load(); ep != nil {
		s.Endpoint = *ep
	}
	for _, at := range p.Places() {
		s.Places = append(s.Places, Place(at))
	}
	if ns := p.Heard.Load(); ns != 0 {
		s.Heard = time.Unix(0, ns)
	}
	if ep := p.ClientSet.Load(); ep != nil {
		s.ClientSet = *ep
	}
	s.Moves, s.Unanswered, s.GivenUp = p.Moves.Load(), p.Handshake.Unanswered.Load(), p.Handshake.GivenUp.Load()
	for r := range p.Drops {
		if n := p.Drops[r].Load(); n > 0 {
			if s.Drops == nil {
				s.Drops = make(map[probe.Reason]uint64)
			}
			s.Drops[probe.Reason(r)] = n
		}
	}
	if left, entered := p.Out.Left.Load(), p.Out.Entered.Load(); entered > left {
		s.Waiting = entered - left
	}
	if ns := p.Handshake.Established.Load(); ns != 0 {
		s.Established = time.Unix(0, ns)
	}
	if ns := p.Handshake.Initiated.Load(); ns != 0 {
		s.Initiated = time.Unix(0, ns)
	}
	if s.InitiationPending = p.Handshake.Outstanding.Load() != 0; s.InitiationPending {
		s.PendingSince = time.Unix(0, p.Handshake.Pending.Load())
	}
	s.ClockNewest, s.Clock, s.ClockAt = p.Handshake.Clock()
	return s
}

// Counters are totals over the life of a tunnel.
type Counters struct {
	Recorded    uint64 `json:"recorded"`    // events
	Unrecorded  uint64 `json:"unrecorded"`  // events that found no room, see [probe.Recorder.Lost]
	Untagged    uint64 `json:"untagged"`    // data messages that could not be tied to their inner packet
	Mismatches  uint64 `json:"mismatches"`  // packets whose peer was not the one that the mirror named
	Uninspected uint64 `json:"uninspected"` // initiations that came too fast to be read
}

// Counters returns the totals.
func (t *Tunnel) Counters() Counters {
	return Counters{t.rec.Recorded(), t.rec.Lost(), t.watch.Untagged.Load(), t.watch.Mismatches.Load(), t.watch.Handshakes.Uninspected.Load()}
}
