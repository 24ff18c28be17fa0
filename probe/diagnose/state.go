package diagnose

import (
	"time"

	"github.com/wgnode/wgnode/probe"
)

// State says in a word how a peer fares.
type State string

// The states. The first of this list that applies is a peer's.
const (
	// StateFailing: the verdict is a fault.
	StateFailing State = "failing"
	// StateDegraded: there is one, and a finding has seen packets of the peer fail. Only a
	// whole report can say so: see [DoctorReport.Degrade].
	StateDegraded State = "degraded"
	// StateUp: there is a session, younger than sessionLife.
	StateUp State = "up"
	// StateHandshaking: there is none, and an initiation passed, either way, less
	// than HandshakeLife ago.
	StateHandshaking State = "handshaking"
	// StateStale: there was a session. That is no fault: WireGuard makes a new one
	// when there is something to send.
	StateStale State = "stale"
	// StateNeverSeen: no handshake was ever completed since the node began.
	StateNeverSeen State = "never-seen"
)

// HandshakeLife is for how long an initiation is sent again and again
// (RekeyAttemptTime in the WireGuard whitepaper, section 6.1).
const HandshakeLife = 90 * time.Second

// State returns the state of the facts' peer at time now, whose verdict is v.
func (f *Facts) State(v *Verdict, now time.Time) State {
	h := &f.Peer.Handshake
	switch {
	case !v.Healthy() && v.Code != Idle:
		return StateFailing
	case h.Alive(now):
		return StateUp
	case f.Peer.Handshaking(now):
		return StateHandshaking
	case !h.Established.IsZero():
		return StateStale
	}
	return StateNeverSeen
}

// Handshaking reports whether a handshake has begun at either end that may still be
// completed.
func (p *Peer) Handshaking(now time.Time) bool {
	for _, e := range []*probe.Event{p.Seen[probe.A2], p.Seen[probe.B1]} {
		if e != nil && now.Sub(e.When()) < HandshakeLife && e.When().After(p.Handshake.Established) {
			return true
		}
	}
	return false
}
