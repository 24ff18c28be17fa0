package account

import (
	"sync/atomic"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
)

// rejectAfter is the age in nanoseconds at which a session ends
// (device.RejectAfterTime).
const rejectAfter = int64(180 * time.Second)

// replayWindow is how far behind its newest one the device accepts a counter
// (replay.windowSize; RFC 6479).
const replayWindow = 8128

// settleTries is for how many rounds the cause of a drop is sought.
const settleTries = 10

// settle finds out about the packets in gaps, counts and records each.
func (a *Accountant) settle(gaps []gap) {
	if len(gaps) == 0 {
		return
	}
	a.settleOutbound(gaps)
	a.settleInbound(gaps)
}

// each calls f for the recorded events of the packets in gaps that are of one
// direction, and returns how many packets of each gap it found.
func (a *Accountant) each(lane probe.Lane, gaps []gap, outbound bool, f func(g *gap, e *probe.Event)) []uint64 {
	found := make([]uint64, len(gaps))
	index := indexGaps(gaps, outbound)
	if len(index) == 0 {
		return found
	}
	a.rec.Scan(lane, func(e *probe.Event) bool {
		state := tag.Outbound
		if !outbound {
			state = tag.Inbound4 + tag.State(e.Info)
		}
		if i, ok := index.find(gaps, gapWay{e.Peer, state}, e.Pair); ok {
			found[i]++
			f(&gaps[i], e)
		}
		return true
	})
	return found
}

func (a *Accountant) settleOutbound(gaps []gap) {
	var drops []probe.Event
	found := a.each(probe.LaneTUNRead, gaps, true, func(g *gap, e *probe.Event) {
		d := *e
		d.Pair, d.Reason = e.Seq, g.reason
		if d.Reason == probe.ReasonNone {
			d.Reason = probe.StagedOverflow // the only way to be overtaken
		}
		drops = append(drops, d)
	})
	a.record(drops)
	for i, g := range gaps {
		if g.state == tag.Outbound && found[i] < g.to-g.from+1 {
			reason := g.reason
			if reason == probe.ReasonNone {
				reason = probe.StagedOverflow
			}
			a.m.Peers.Get(g.peer).Drop(reason, int(g.to-g.from+1-found[i]))
		}
	}
}

func (a *Accountant) record(drops []probe.Event) {
	for i := range drops {
		e := &drops[i]
		e.Time, e.Seam = a.m.Clock.Now(), probe.SeamDevice
		a.m.Peers.Get(e.Peer).Drop(e.Reason, 1)
		a.rec.Record(probe.LaneControl, e)
	}
}

// counterKey is how a data message is recognised when it comes again.
type counterKey struct {
	receiver uint32
	counter  uint64
}

func (a *Accountant) settleInbound(gaps []gap) {
	var lost []lostMessage
	found := a.each(probe.LaneUDPReceive, gaps, false, func(g *gap, e *probe.Event) {
		lost = append(lost, lostMessage{*e, g.tries})
	})
	for i, g := range gaps {
		if g.state != tag.Outbound && found[i] < g.to-g.from+1 {
			a.m.Peers.Get(g.peer).Drop(probe.LostInDevice, int(g.to-g.from+1-found[i]))
		}
	}
	if len(lost) == 0 {
		return
	}
	if a.unexplained(lost) {
		a.searchPool()
	}
	seen := a.earlier(lost)
	var drops []probe.Event
	for i := range lost {
		l := &lost[i]
		id := idOf(&l.Event)
		a.cause(&l.Event, seen(&l.Event))
		if l.Reason == probe.LostInDevice && l.tries < settleTries {
			a.missing(gap{peer: id.peer, state: id.state, from: id.ordinal, to: id.ordinal, tries: l.tries + 1})
			continue
		}
		if l.Reason != probe.ReasonNone {
			l.Pair = l.Seq
			drops = append(drops, l.Event)
		}
	}
	a.record(drops)
}

// lostMessage is a data message that came in and did not go out.
type lostMessage struct {
	probe.Event
	tries int
}

// earlier returns a function that tells whether a message's counter had been
// used by an earlier one, or is older than the replay window.
func (a *Accountant) earlier(lost []lostMessage) func(*probe.Event) bool {
	first := make(map[counterKey]uint64) // Seq of the first receipt
	for i := range lost {
		first[counterKey{lost[i].Receiver, lost[i].Counter}] = lost[i].Seq
	}
	a.rec.Scan(probe.LaneUDPReceive, func(e *probe.Event) bool {
		k := counterKey{e.Receiver, e.Counter}
		if seq, ok := first[k]; ok && e.Seq < seq {
			first[k] = e.Seq
		}
		return true
	})
	newest := make(map[uint32]uint64) // highest counter that passed, by receiver index
	a.rec.Scan(probe.LaneTUNWrite, func(e *probe.Event) bool {
		newest[e.Receiver] = max(newest[e.Receiver], e.Counter)
		return true
	})
	return func(e *probe.Event) bool {
		return first[counterKey{e.Receiver, e.Counter}] < e.Seq || e.Counter+replayWindow < newest[e.Receiver]
	}
}

// unexplained reports whether any of the lost messages carried data and
// nothing is known of it yet.
func (a *Accountant) unexplained(lost []lostMessage) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range lost {
		id := idOf(&lost[i].Event)
		_, examined := a.evidence.get(id)
		_, refused := a.refusals.get(id)
		if lost[i].Kind == probe.KindData && !examined && !refused {
			return true
		}
	}
	return false
}

func idOf(e *probe.Event) packetID {
	return packetID{e.Peer, tag.Inbound4 + tag.State(e.Info), e.Pair}
}

// cause sets the reason why the data message e was not written to the TUN
// device; none if it was an accepted keepalive. again says that its counter
// had been used before, or is older than the replay window.
func (a *Accountant) cause(e *probe.Event, again bool) {
	id := idOf(e)
	a.mu.Lock()
	r, examined := a.evidence.get(id)
	_, refused := a.refusals.get(id)
	a.mu.Unlock()
	p := a.m.Peers.Get(e.Peer)
	e.Info = 0
	switch {
	case refused:
		e.Reason = probe.UnknownIndex
		if s := a.m.Local.Created(e.Receiver); s != 0 && e.Time-s >= rejectAfter {
			e.Reason = probe.ExpiredKey
		}
	case e.Kind == probe.KindKeepalive && takeOne(&p.Keepalives):
	case examined && r.reason == probe.DisallowedSource:
		takeOne(&p.Disallowed)
		e.Reason = probe.DisallowedSource
		e.InnerSrc, e.InnerDst, e.InnerLen, e.Proto = r.inner.InnerSrc, r.inner.InnerDst, r.inner.InnerLen, r.inner.Proto
		e.InnerSrcPort, e.InnerDstPort, e.Info = r.inner.InnerSrcPort, r.inner.InnerDstPort, r.inner.Info
		if e.InnerDst.Multicast() || e.InnerSrc.LinkLocal() {
			e.Reason = probe.LinkScope
		}
	case examined:
		if e.Reason = r.reason; r.reason == probe.BadInnerPacket {
			takeOne(&p.BadVersion)
		}
	case e.Kind == probe.KindData && takeOne(&p.Disallowed):
		e.Reason = probe.DisallowedSource
	case e.Kind == probe.KindData && takeOne(&p.BadVersion):
		e.Reason = probe.BadInnerPacket
	case again:
		e.Reason = probe.Replayed
	case e.Kind == probe.KindKeepalive:
		// Neither accepted nor seen before: only authentication is left.
		e.Reason = probe.AuthenticationFailed
	default:
		e.Reason = probe.LostInDevice
	}
}

// takeOne takes one from n, if it is positive.
func takeOne(n *atomic.Int64) bool {
	for {
		v := n.Load()
		if v <= 0 {
			return false
		}
		if n.CompareAndSwap(v, v-1) {
			return true
		}
	}
}
