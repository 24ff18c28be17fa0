package tunnel

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/mirror"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
)

const (
	accountEvery = 100 * time.Millisecond
	// accountIdle is for how many rounds a peer must have let nothing through
	// before what it received and did not pass on counts as dropped. Until
	// then a later packet's passage is what proves it.
	accountIdle = 3
	// accountQueue bounds what a flood of drops can make the accountant
	// remember; beyond it drops are still counted, without their cause.
	accountQueue = 8192
	// accountRest is how many times as long as it worked the accountant rests,
	// so that a flood of drops takes a tenth of a processor at most.
	accountRest  = 9
	accountPause = 10 * time.Millisecond // the least that it rests
	// accountForget is for how many rounds, at least, what was found out is
	// kept: longer than it takes to notice a gap and to settle it.
	accountForget = 2 * (accountIdle + settleTries)
	// deviceStaged is how many batches the device keeps for a peer without a
	// session (device.QueueStagedSize); older ones give way.
	deviceStaged = 128
)

// accountant finds the packets that the device dropped without a word.
//
// Each peer's packets have ordinals and keep their order inside the device
// (see way), so a gap shows that a packet was dropped, exactly and at once.
// The seams only note gaps. Why, and which packet it was, the accountant finds
// out off the hot path: from the flight recorder, from what the device logged
// without saying which packet it meant, and from dropped packets' buffers,
// which still have their tags when the device's pool hands them out again.
type accountant struct {
	t     *Tunnel
	kicks chan struct{}

	looking atomic.Bool

	mu       sync.Mutex
	gaps     []gap           // guarded by mu: found since the latest round
	due      []gap           // guarded by mu: to be settled in the next round
	refusals notes[struct{}] // guarded by mu: the device did not take them in
	evidence notes[remains]  // guarded by mu

	idle map[probe.PeerID]*[3]idleness // used by run only
	work rounds                        // used by run only
}

type idleness struct {
	left   uint64
	rounds int
}

func newAccountant(t *Tunnel) *accountant {
	return &accountant{t: t, kicks: make(chan struct{}, 1), idle: make(map[probe.PeerID]*[3]idleness)}
}

// missing notes a gap. It is called by the seams.
func (a *accountant) missing(g gap) {
	defer a.t.busy() // once it is noted, so that the accountant does not sleep over it
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.gaps) >= accountQueue {
		reason := g.reason
		if reason == probe.ReasonNone {
			reason = probe.LostInDevice
		}
		a.t.m.Peers.Get(g.peer).Drop(reason, int(g.to-g.from+1))
		return
	}
	a.gaps = append(a.gaps, g)
}

// late notes that packets left that others had overtaken. When a session
// begins, two goroutines of the device may send what waited for it, and so
// exchange two batches.
func (a *accountant) late(peer probe.PeerID, state tag.State, first, last uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gaps = cut(a.gaps, peer, state, first, last)
	a.due = cut(a.due, peer, state, first, last)
}

// refused notes a data message that the device looked at and left.
func (a *accountant) refused(peer probe.PeerID, state tag.State, ordinal uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refusals.put(packetID{peer, state, ordinal}, struct{}{})
}

// flushed notes that the device discarded what it kept for a peer.
func (a *accountant) flushed(id probe.PeerID, reason probe.Reason) {
	if id == 0 {
		return
	}
	w := &a.t.m.Peers.Get(id).Out
	last := w.Entered.Load()
	if from, to := w.Leave(last+1, last); from <= to {
		a.missing(gap{peer: id, state: tag.Outbound, from: from, to: to, reason: reason})
	}
	a.kick()
}

// kick makes the accountant look soon rather than at its next round, or wakes it.
func (a *accountant) kick() {
	select {
	case a.kicks <- struct{}{}:
	default:
	}
}

// look examines the buffers that come out of the pool next. It is for the
// device's log to start: a new goroutine as a rule runs on the same processor
// as soon as the one that starts it waits, and so finds in that processor's
// pool the very packet that the log was about.
func (a *accountant) look() {
	if a.looking.CompareAndSwap(false, true) {
		go func() {
			defer a.looking.Store(false)
			a.lookPool()
			a.kick()
		}()
	}
}

// reclaim looks at a buffer that the device hands out anew: one whose tag says
// that it came in and never went out holds a packet that was dropped.
func (t *Tunnel) reclaim(b []byte) {
	g, state := t.tags.Find(b)
	if state != tag.Inbound4 && state != tag.Inbound6 {
		return
	}
	id := packetID{g.Peer(), state, g.Ordinal()}
	var e probe.Event
	g.GetInbound(&e)
	g.Clear(t.tags.Magic)
	r, ok := t.examine(&e, b[:cap(b)])
	if !ok {
		return
	}
	t.acct.mu.Lock()
	defer t.acct.mu.Unlock()
	t.acct.evidence.put(id, r)
}

// examine tells from the content of a data message that came in and was
// dropped why that was. Decryption happens in place: what fails to
// authenticate is overwritten with zeros, the rest is an inner packet.
func (t *Tunnel) examine(e *probe.Event, buf []byte) (remains, bool) {
	end := int(e.OuterLen) - 16
	if end <= tag.Headroom || end > len(buf) {
		return remains{}, false // a keepalive: nothing in it to judge by
	}
	if peer, _ := t.m.Local.Lookup(binary.LittleEndian.Uint32(buf[4:])); peer != e.Peer || !isData(buf) {
		return remains{}, false // the device has made a keepalive of its own in it since
	}
	inner := buf[tag.Headroom:end]
	if allZero(inner) {
		return remains{reason: probe.AuthenticationFailed}, true
	}
	var r remains
	if n, ok := innerLength(inner); ok && r.inner.DecodeInner(inner[:n]) {
		r.reason = probe.Replayed
		if from, _ := t.m.Allowed.Lookup(r.inner.InnerSrc.Netip()); from != e.Peer {
			r.reason = probe.DisallowedSource
		}
		return r, true
	}
	return remains{reason: probe.BadInnerPacket}, true
}

// innerLength is the length that an IP packet states, without padding, and
// whether the device would have accepted it.
func innerLength(b []byte) (int, bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		n := int(b[2])<<8 | int(b[3])
		return n, n >= 20 && n <= len(b)
	case len(b) >= 40 && b[0]>>4 == 6:
		n := 40 + (int(b[4])<<8 | int(b[5]))
		return n, n <= len(b)
	}
	return 0, false
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// forget drops what nobody has asked about for long.
func (a *accountant) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refusals.forget()
	a.evidence.forget()
}

// sweep looks for packets whose drop no later packet has shown, and reports
// whether nothing is inside the device that another look could tell of.
func (a *accountant) sweep() (quiet bool) {
	quiet = true
	for p := range a.t.m.Peers.All() {
		if !a.sweepPeer(p) {
			quiet = false
		}
	}
	return quiet
}

func (a *accountant) sweepPeer(p *mirror.Peer) (quiet bool) {
	quiet = true
	for i, w := range []*mirror.Way{&p.Out, &p.In[0], &p.In[1]} {
		left, entered := w.Left.Load(), w.Entered.Load()
		if left >= entered {
			if idle := a.idle[p.ID]; idle != nil {
				idle[i] = idleness{}
			}
			continue
		}
		idle := a.idle[p.ID]
		if idle == nil {
			idle = new([3]idleness)
			a.idle[p.ID] = idle
		}
		if idle[i].left != left || idle[i].rounds == 0 {
			idle[i] = idleness{left, 1}
			quiet = false
			continue
		}
		if idle[i].rounds++; idle[i].rounds <= accountIdle {
			quiet = false
			continue
		}
		if i == 0 {
			a.overflow(p, left, entered)
			// Fewer wait for a session, and for nothing of ours: they leave, or give
			// way to what comes later, or the device says that it discards them.
			quiet = quiet && entered-left <= deviceStaged
			continue
		}
		quiet = false
		idle[i].rounds = 1
		state := tag.Inbound4 + tag.State(i-1)
		if from, to := w.Leave(entered+1, entered); from <= to {
			a.missing(gap{peer: p.ID, state: state, from: from, to: to})
		}
	}
	return quiet
}

// overflow accounts for packets that gave way while a peer had no session: of
// those that wait, the device keeps the latest deviceStaged batches. Packets
// that were read together have the same time.
func (a *accountant) overflow(p *mirror.Peer, left, entered uint64) {
	if entered-left <= deviceStaged || p.Handshake.Outstanding.Load() == 0 {
		return
	}
	var starts []uint64 // first ordinal of each batch
	var last int64
	a.t.rec.Scan(probe.LaneTUNRead, func(e *probe.Event) bool {
		if e.Peer == p.ID && e.Pair > left && e.Pair <= entered && e.Time != last {
			starts, last = append(starts, e.Pair), e.Time
		}
		return true
	})
	if len(starts) <= deviceStaged {
		return
	}
	oldest := starts[len(starts)-deviceStaged]
	if from, to := p.Out.Leave(oldest, oldest-1); from <= to {
		a.missing(gap{peer: p.ID, state: tag.Outbound, from: from, to: to, reason: probe.StagedOverflow})
	}
}
