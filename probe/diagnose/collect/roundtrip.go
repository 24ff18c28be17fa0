package collect

import (
	"time"

	"github.com/wgnode/wgnode/probe"
)

// RoundTrips finds out, of events in order of time, how long peers took to respond to
// initiations. Each try has an index of its own, so that one that was lost makes none longer.
type RoundTrips struct {
	// Level is how much events tell; "" is that of wgnode's own device. Where copies alone are
	// known a response is taken for the peer's by its index, which is ours and random.
	Level probe.Level

	sent   map[try]int64 // when, in Unix nanoseconds
	heard  map[probe.PeerID]RoundTrip
	latest map[probe.PeerID]RoundTrip
}

// RoundTrip is how long a response took, and when it came.
type RoundTrip struct {
	Took time.Duration
	At   time.Time
}

// try is one initiation.
type try struct {
	peer  probe.PeerID
	index uint32
}

// triesKept bounds how many initiations without a response are remembered.
const triesKept = 1 << 17

// Add takes one event into account.
func (r *RoundTrips) Add(e *probe.Event) {
	if e.Peer == 0 || e.Dropped() {
		return
	}
	switch {
	case e.Kind == probe.KindInitiation && e.Seam == probe.SeamUDPSend:
		if r.sent == nil {
			r.sent, r.heard, r.latest = make(map[try]int64), make(map[probe.PeerID]RoundTrip), make(map[probe.PeerID]RoundTrip)
		}
		if len(r.sent) < triesKept {
			r.sent[try{e.Peer, e.Sender}] = e.Time
		}
	case e.Kind == probe.KindResponse && e.Seam == probe.SeamUDPReceive:
		at, ok := r.sent[try{e.Peer, e.Receiver}]
		if !ok {
			return
		}
		delete(r.sent, try{e.Peer, e.Receiver})
		r.heard[e.Peer] = RoundTrip{time.Duration(e.Time - at), e.When()}
		if r.Level.Copies() {
			r.latest[e.Peer] = r.heard[e.Peer]
		}
	case e.Kind == probe.KindResponse && e.Seam == probe.SeamDevice: // it was authentic
		if heard, ok := r.heard[e.Peer]; ok {
			r.latest[e.Peer] = heard
			delete(r.heard, e.Peer)
		}
	}
}

// Latest is a peer's latest; false: none is known.
func (r *RoundTrips) Latest(peer probe.PeerID) (RoundTrip, bool) {
	rt, ok := r.latest[peer]
	return rt, ok
}
