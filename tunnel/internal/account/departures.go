package account

import (
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
)

// Departures collects the ordinals of one batch that leaves, so that the peer's counter is
// touched once for each unbroken series.
type Departures struct {
	peer        probe.PeerID
	state       tag.State // None: none yet
	first, last uint64
}

// Add notes that one packet leaves.
func (d *Departures) Add(a *Accountant, peer probe.PeerID, state tag.State, ordinal uint64) {
	if d.peer == peer && d.state == state && ordinal == d.last+1 {
		d.last = ordinal
		return
	}
	d.Flush(a)
	*d = Departures{peer, state, ordinal, ordinal}
}

// Flush ends a series, and with it the batch.
func (d *Departures) Flush(a *Accountant) {
	if d.state == tag.None {
		return
	}
	w := a.m.Peers.Get(d.peer).Way(d.state)
	if d.last <= w.Left.Load() {
		a.late(d.peer, d.state, d.first, d.last)
	} else if from, to := w.Leave(d.first, d.last); from <= to {
		a.missing(gap{peer: d.peer, state: d.state, from: from, to: to})
	}
	d.state = tag.None
}
