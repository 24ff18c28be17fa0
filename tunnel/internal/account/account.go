// Package account finds the packets that the device dropped without a word.
//
// Each peer's packets have ordinals and keep their order inside the device (see
// [mirror.Way]), so a gap shows that a packet was dropped, exactly and at once. The seams
// say what has left ([Departures]), and so note gaps, and no more. Why, and which packet it
// was, the [Accountant] finds out off the hot path, in rounds: from the flight recorder,
// from what the device logged without saying which packet it meant, and from dropped
// packets' buffers, which still have their tags when the device's pool hands them out again
// ([Accountant.Reclaim]). What it cannot find out is called lost in the device, not guessed.
//
// It works while packets pass or are inside the device, and then sleeps without a timer.
package account

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/device"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/mirror"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
)

// Every is how far apart rounds are while packets pass.
const Every = 100 * time.Millisecond

const (
	// idleRounds is for how many rounds a peer must have let nothing through
	// before what it received and did not pass on counts as dropped. Until
	// then a later packet's passage is what proves it.
	idleRounds = 3
	// queue bounds what a flood of drops can make the accountant
	// remember; beyond it drops are still counted, without their cause.
	queue = 8192
	// restTimes is how many times as long as it worked the accountant rests,
	// so that a flood of drops takes a tenth of a processor at most.
	restTimes = 9
	pause     = 10 * time.Millisecond // the least that it rests
	// forgetRounds is for how many rounds, at least, what was found out is
	// kept: longer than it takes to notice a gap and to settle it.
	forgetRounds = 2 * (idleRounds + settleTries)
	// deviceStaged is how many batches the device keeps for a peer without a
	// session (device.QueueStagedSize); older ones give way.
	deviceStaged = 128
)

// Accountant accounts for the packets of one device. The methods that the seams and the
// device's log call wait for nothing but each other.
type Accountant struct {
	active atomic.Uint32 // what has passed since it last looked; see Busy
	rec    *probe.Recorder
	m      *mirror.Mirror
	tags   *tag.Tags
	dev    *device.Device // whose pool of buffers is searched
	kicks  chan struct{}

	looking atomic.Bool

	mu       sync.Mutex
	gaps     []gap           // guarded by mu: found since the latest round
	due      []gap           // guarded by mu: to be settled in the next round
	refusals notes[struct{}] // guarded by mu: the device did not take them in
	evidence notes[remains]  // guarded by mu

	idle map[probe.PeerID]*[3]idleness // used by Run only
	work rounds                        // used by Run only
}

type idleness struct {
	left   uint64
	rounds int
}

// New returns one whose device is yet to be attached: the device is made of
// seams that already have an accountant.
func New(rec *probe.Recorder, m *mirror.Mirror, tags *tag.Tags) *Accountant {
	return &Accountant{rec: rec, m: m, tags: tags, kicks: make(chan struct{}, 1), idle: make(map[probe.PeerID]*[3]idleness)}
}

// Attach says what the device is, before any packet passes.
func (a *Accountant) Attach(dev *device.Device) { a.dev = dev }

// missing notes a gap. It is called by the seams.
func (a *Accountant) missing(g gap) {
	defer a.Busy() // once it is noted, so that the accountant does not sleep over it
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.gaps) >= queue {
		reason := g.reason
		if reason == probe.ReasonNone {
			reason = probe.LostInDevice
		}
		a.m.Peers.Get(g.peer).Drop(reason, int(g.to-g.from+1))
		return
	}
	a.gaps = append(a.gaps, g)
}

// late notes that packets left that others had overtaken. When a session
// begins, two goroutines of the device may send what waited for it, and so
// exchange two batches.
func (a *Accountant) late(peer probe.PeerID, state tag.State, first, last uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gaps = cut(a.gaps, peer, state, first, last)
	a.due = cut(a.due, peer, state, first, last)
}

// Refused notes a data message that the device looked at and left.
func (a *Accountant) Refused(peer probe.PeerID, state tag.State, ordinal uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refusals.put(packetID{peer, state, ordinal}, struct{}{})
}

// Flushed notes that the device discarded what it kept for a peer.
func (a *Accountant) Flushed(id probe.PeerID, reason probe.Reason) {
	if id == 0 {
		return
	}
	w := &a.m.Peers.Get(id).Out
	last := w.Entered.Load()
	if from, to := w.Leave(last+1, last); from <= to {
		a.missing(gap{peer: id, state: tag.Outbound, from: from, to: to, reason: reason})
	}
	a.kick()
}

// kick makes the accountant look soon rather than at its next round, or wakes it.
func (a *Accountant) kick() {
	select {
	case a.kicks <- struct{}{}:
	default:
	}
}

// forget drops what nobody has asked about for long.
func (a *Accountant) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refusals.forget()
	a.evidence.forget()
}

// sweep looks for packets whose drop no later packet has shown, and reports
// whether nothing is inside the device that another look could tell of.
func (a *Accountant) sweep() (quiet bool) {
	quiet = true
	for p := range a.m.Peers.All() {
		if !a.sweepPeer(p) {
			quiet = false
		}
	}
	return quiet
}

func (a *Accountant) sweepPeer(p *mirror.Peer) (quiet bool) {
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
		if idle[i].rounds++; idle[i].rounds <= idleRounds {
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
func (a *Accountant) overflow(p *mirror.Peer, left, entered uint64) {
	if entered-left <= deviceStaged || p.Handshake.Outstanding.Load() == 0 {
		return
	}
	var starts []uint64 // first ordinal of each batch
	var last int64
	a.rec.Scan(probe.LaneTUNRead, func(e *probe.Event) bool {
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
