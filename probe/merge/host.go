package merge

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/recording"
)

// slack is how much an event may come later than others that are younger: what a
// subscription holds back, and some.
const slack = int64(1e9)

// host is one recording while it is merged.
type host struct {
	recording.Meta
	rec     *recorded
	name    string    // as results call it: no two have the same
	endedAt time.Time // by its own clock; zero: with its last event
	saw     []evidence.Observations
	index   int8
	scanned scanned

	// toward is the host whose clock this one's is compared with on the way to the
	// reference, and step turns a time of this one's into that one's; both nil for
	// the reference itself.
	aligned bool
	group   int8
	toward  *host
	step    func(int64) int64

	others map[probe.PeerID]int8  // which recording a peer is; -1: none
	keys   map[probe.PeerID]int32 // its place in the table of keys
	self   int32                  // and this host's own

	src          source
	head         *probe.Event    // nil at the end
	headDrop     *recording.Drop // of a packet that the kernel has dropped
	headAt       int64           // its reference time
	lost         uint64          // all that are missing
	dropsMissed  uint64          // of what the kernel has dropped, counted alone
	before       int64           // reference time of the event before
	begins, ends int64           // start and end, in reference time
	gaps         []span          // the latest, in reference time
	batches      map[probe.PeerID]*batch
	facts        *collect.Collector
	// quiet are peers of which nothing has happened since that bulk traffic would
	// mend, so that it need not be shown to the facts.
	quiet map[probe.PeerID]bool
	// elsewhere counts messages to peers that were not recorded.
	elsewhere uint64
}

// span is a time in which events are missing.
type span struct{ from, to int64 }

// gapsKept is how many gaps are remembered; older ones are put together.
const gapsKept = 64

// other is the index of the recording of a peer, -1 if there is none.
func (h *host) other(id probe.PeerID) int8 {
	if i, ok := h.others[id]; ok {
		return i
	}
	return -1
}

// start and end say when the host recorded, in reference time. What it had kept
// from before is not complete, and does not count.
func (h *host) start() int64 {
	t := h.scanned.first
	if !h.Clock.Started.IsZero() {
		t = h.Clock.Started.UnixNano()
	}
	return h.reference(t)
}

func (h *host) end() int64 {
	t := h.scanned.last
	if !h.endedAt.IsZero() {
		t = h.endedAt.UnixNano()
	}
	return h.reference(t)
}

// label is how people know the host: by its name, else by its key.
func (h *host) label() string {
	if h.name != "" {
		return h.name
	}
	return diagnose.PeerLabel(h.PublicKey, "")
}

// knows reports whether h has a peer with that key.
func (h *host) knows(k key.Public) bool {
	return slices.ContainsFunc(h.Peers, func(p recording.Peer) bool { return p.PublicKey == k })
}

// filtered: not everything was recorded, so that what is missing says nothing.
func (h *host) filtered() bool { return len(h.Filter) > 0 }

// covers reports whether the host recorded, and lost nothing, from one reference
// time to another.
func (h *host) covers(from, to int64) bool {
	if h.filtered() || from < h.begins || to > h.ends {
		return false
	}
	for i := range h.gaps {
		if g := &h.gaps[i]; g.from <= to && from <= g.to {
			return false
		}
	}
	return true
}

// advance reads the next event.
func (h *host) advance() error {
	if h.head != nil {
		h.before = h.headAt
	}
	e, d, lost, err := h.src.Next()
	end := errors.Is(err, io.EOF)
	if err != nil && !end {
		return fmt.Errorf("read %s: %w", h.rec.name, err)
	}
	h.head, h.headDrop = nil, nil
	if !end {
		h.head, h.headDrop, h.headAt = e, d, h.reference(e.Time)
	}
	if lost > 0 {
		h.lost += lost
		to := h.ends
		if !end {
			to = h.headAt
		}
		h.missing(span{h.before - slack, to + slack})
	}
	return nil
}

// missing notes a gap.
func (h *host) missing(g span) {
	if n := len(h.gaps); n > 0 && g.from <= h.gaps[n-1].to {
		h.gaps[n-1].to = max(h.gaps[n-1].to, g.to)
		return
	}
	if len(h.gaps) == gapsKept {
		h.gaps[1].from = h.gaps[0].from
		h.gaps = append(h.gaps[:0], h.gaps[1:]...)
	}
	h.gaps = append(h.gaps, g)
}

// witness takes an event into account for what the host knows of its peers. Bulk
// traffic is left out where it would change nothing.
func (h *host) witness(e *probe.Event) {
	bulk := !e.Dropped() && (e.Kind == probe.KindData || e.Kind == probe.KindInner)
	if bulk && (e.Seam != probe.SeamTUNWrite || h.quiet[e.Peer]) {
		return
	}
	h.facts.Add(e)
	if bulk || e.Kind == probe.KindKeepalive {
		h.quiet[e.Peer] = true
	} else {
		delete(h.quiet, e.Peer)
	}
	if p := h.facts.Peers[e.Peer]; p != nil {
		src, dst := e.Outer()
		switch {
		case e.Seam == probe.SeamUDPSend && dst.IsValid():
			p.Endpoint = dst
		case e.Kind == probe.KindEndpoint && dst.IsValid():
			p.Endpoint = dst
		case e.Seam == probe.SeamUDPReceive && src.IsValid() && !p.Endpoint.IsValid() && !e.Dropped():
			p.Endpoint = src
		}
	}
}

// testify adds to the facts what the host found out beside its events. from is where
// the other host's messages come from; invalid if that is not known.
func (h *host) testify(f *diagnose.Facts, from netip.AddrPort) {
	for i := range h.saw {
		t := &h.saw[i]
		if f.Flow == nil || t.Target != f.Flow.Target || t.Side != f.Side {
			continue
		}
		if t.Kernel != nil {
			k := *t.Kernel
			f.Kernel = &k
		}
		if t.Route.Kind != evidence.RouteUnknown {
			f.Flow.Route = t.Route
		}
	}
	for i := range h.saw {
		t := &h.saw[i]
		if t.Target.IsValid() || t.Kernel == nil {
			continue
		}
		if f.Kernel == nil {
			k := *t.Kernel
			k.WireOnly = true
			f.Kernel = &k
		}
		w := wireOf(t, f.Peer, from)
		f.Kernel.FromWire, f.Kernel.ToWire = w.From, w.To
		if f.Peer != nil && f.Peer.Route.Kind == evidence.RouteUnknown {
			f.Peer.Route = w.Route
		}
	}
}

// wireOf is what a host's kernel did with the messages of one peer. Where it is not
// known whence these come, they are those of the only address that is nobody
// else's.
func wireOf(t *evidence.Observations, p *diagnose.Peer, from netip.AddrPort) evidence.WireObservations {
	var of, unclaimed evidence.WireObservations
	strangers := 0
	for i := range t.Wire {
		w := &t.Wire[i]
		switch {
		case p != nil && w.Peer == p.KeyText(), from.IsValid() && w.Remote == from:
			if of.Remote.IsValid() && w.From.Packets+w.To.Packets < of.From.Packets+of.To.Packets {
				continue // where the peer was before, or others with its key
			}
			of = *w
		case w.Peer == "":
			unclaimed = *w
			strangers++
		}
	}
	seen := of.From.Packets > 0 || of.From.KernelDrop != nil
	if !seen && strangers == 1 {
		way := of.Route
		of.From = unclaimed.From
		if of.To.Packets == 0 {
			of.To = unclaimed.To
		}
		if way.Kind == evidence.RouteUnknown {
			way = unclaimed.Route
		}
		of.Route = way
	} else if !seen && strangers > 1 {
		// Some of these may be the other's, before its address was known.
		of.From.Packets = strangers
	}
	return of
}

// seenFrom is where b sees messages of a come from; invalid if it sees none.
func (m *merger) seenFrom(a, b *host) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	if n := m.nat[[2]int8{a.index, b.index}]; n != nil {
		return n.SeenFrom
	}
	return netip.AddrPort{}
}
