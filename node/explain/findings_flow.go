package explain

import (
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/finding"
	"github.com/wgnode/wgnode/tunnel"
)

// inner returns the packets between the tunnel and this host's stack that have
// passed a checkpoint of late.
func (g *gathering) inner(cp probe.Checkpoint) []probe.Event {
	return g.Tunnel.Recorder().Snapshot(time.Now().Add(-history), func(e *probe.Event) bool {
		return e.Checkpoint == cp && e.Kind == probe.KindInner && !e.Dropped()
	})
}

// opened returns when somebody behind each peer has last begun something
// towards this side. A SYN or an echo request begins something for certain; the
// side of other packets may be wrong for flows older than the node.
func (g *gathering) opened() map[probe.PeerID]time.Time {
	at := make(map[probe.PeerID]time.Time)
	for _, e := range g.inner(probe.B4) {
		if e.Opens() {
			at[e.Peer] = e.When()
		}
	}
	return at
}

// places adds where a peer has been by the addresses of its name.
func (g *gathering) places(p *finding.Peer, ps *tunnel.PeerState) {
	n := len(ps.Places)
	if g.Addresses == nil || n == 0 || ps.Learned() {
		return
	}
	p.Addresses, p.Since, p.Heard = g.Addresses(ps.Key), ps.Places[n-1].Since, ps.Heard
	for _, was := range ps.Places[:n-1] {
		if !was.Learned {
			p.Left = append(p.Left, was.Endpoint)
		}
	}
}

// unmatched looks for packets that peers sent, that this host routed into the tunnel
// again, and that were dropped there because no peer has their destination.
func (g *gathering) unmatched() {
	told := make(map[finding.PassedOn]bool)
	for _, e := range g.Tunnel.Recorder().Snapshot(time.Now().Add(-history), func(e *probe.Event) bool {
		return e.Reason == probe.NoAllowedIPsMatch && e.Seam == probe.SeamTUNRead
	}) {
		src, dst := e.Inner()
		from, ok := g.Tunnel.Lookup(src.Addr())
		if !ok || !dst.Addr().IsGlobalUnicast() || len(told) == unmatchedKept {
			continue
		}
		ps := g.Tunnel.PeerState(from.Peer)
		one := finding.PassedOn{Peer: diagnose.PeerLabel(ps.Key, ps.Name), Key: ps.Key, Dst: dst.Addr()}
		if !told[one] {
			told[one] = true
			g.facts.Unmatched = append(g.facts.Unmatched, one)
		}
	}
}

// unmatchedKept bounds what peers can fill a report with.
const unmatchedKept = 8
