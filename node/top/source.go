package top

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/flows"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/overview"
)

// Source is where a screen has its tunnels from. Its methods are called by the goroutine that
// has the model, and do not wait, but for Explain, which is called by another.
type Source interface {
	// Tunnels are those that there are, by name.
	Tunnels() []*Tunnel
	// Want says what of them is to be looked at.
	Want(w Want)
	// Explain says what becomes of a flow of a tunnel.
	Explain(ctx context.Context, tunnel string, req explain.Request) (*diagnose.Report, error)
	// Version changes whenever there is something new to see.
	Version() uint64
	// Failed tells of what must not happen and ends the screen.
	Failed() <-chan error
}

// failures tell of panics in goroutines: the terminal has to be put right before they are seen.
type failures chan error

// catch is deferred by a goroutine.
func (f failures) catch() {
	if p := recover(); p != nil {
		select {
		case f <- fmt.Errorf("panic: %v\n%s", p, debug.Stack()):
		default: // there is one already
		}
	}
}

// Failed implements [Source].
func (f failures) Failed() <-chan error { return f }

// Want is what is to be looked at.
type Want struct {
	Filter []string      // the words of a filter of events; none: all
	Peer   string        // only this peer, "" for all
	Sort   overview.Sort // of peers
	Limit  int           // of peers of each tunnel
	// Tunnel and Flow are the flow that is looked at in full; the zero Flow: none.
	Tunnel string
	Flow   flows.Key
}

// Recorder is a source that can record.
type Recorder interface {
	// Record begins to record a tunnel into a file.
	Record(tunnel string, filter []string) (*Recording, error)
}

// Recording is one that is being made.
type Recording struct {
	Tunnel   string
	Progress func() string   // how much there is by now
	Done     <-chan struct{} // closed when it has ended by itself
	Stop     func() string   // ends it and says what came of it
}

// Player is a source that can be looked at as of any time.
type Player interface {
	// Span is the time that it covers, in Unix nanoseconds.
	Span() (first, last int64)
	// At and To are the time that it is looked at, and go to another.
	At() int64
	To(at int64)
	// TimeLine is what there was when, in so many parts.
	TimeLine(parts int) []flows.Mark
}

// Tunnel is a tunnel as it is looked at. Mu guards everything but Name.
type Tunnel struct {
	Name string

	Mu sync.Mutex
	// State is what the overview says, nil as long as it says nothing; At is of when.
	State *overview.Tunnel
	At    time.Time
	// Problem says why nothing is heard of it, "" if something is.
	Problem string
	// Flows is what its events tell, of one packet of Every; Full that of the wanted flow alone, of one
	// of FullEvery.
	Flows     *flows.Table
	Every     uint64
	Full      *flows.Table
	FullEvery uint64
	// Lost counts events that came faster than they were taken.
	Lost uint64
	// FilterError says what is wrong with the filter, "" if nothing is.
	FilterError string

	names map[probe.PeerID]peerName
	rates map[key.Public]*rateRing
	sum   rateRing
	// before is what was dropped before it was looked at, by reason; nil if not known.
	before map[string]uint64
}

type peerName struct {
	key  key.Public
	name string
}

func newTunnel(name string) *Tunnel {
	return &Tunnel{Name: name, Flows: flows.New(flows.Options{}), Every: 1, names: make(map[probe.PeerID]peerName),
		rates: make(map[key.Public]*rateRing)}
}

// Peer implements eventtext.Names.
func (t *Tunnel) Peer(id probe.PeerID) (k key.Public, name string, ok bool) {
	p, ok := t.names[id]
	return p.key, p.name, ok
}

// peerLabel is what people know the peer of an event by.
func (t *Tunnel) peerLabel(id probe.PeerID) string {
	if p, ok := t.names[id]; ok {
		return diagnose.PeerLabel(p.key, p.name)
	}
	return ""
}

// idOf is a peer's number in events, 0 if none of it was seen.
func (t *Tunnel) idOf(k key.Public) probe.PeerID {
	for id, p := range t.names {
		if p.key == k {
			return id
		}
	}
	return 0
}

// learn notes what the peer of an event is called.
func (t *Tunnel) learn(id probe.PeerID, names eventtext.Names) {
	if id == 0 {
		return
	}
	if k, name, ok := names.Peer(id); ok {
		if was, known := t.names[id]; !known || was.name != name {
			t.names[id] = peerName{k, name}
		}
	}
}

// set takes what the overview says, and notes the rates.
func (t *Tunnel) set(state *overview.Tunnel, now time.Time) {
	t.State, t.At, t.Problem = state, now, ""
	if t.before == nil && state.Left == 0 {
		t.before = dropped(state)
	}
	t.sum.add(state.Rates)
	for i := range state.Peers {
		p := &state.Peers[i]
		if p.Rates == nil {
			continue
		}
		ring := t.rates[p.PublicKey]
		if ring == nil {
			if p.Rates.Rx+p.Rates.Tx == 0 {
				continue // most of many peers do nothing
			}
			ring = new(rateRing)
			t.rates[p.PublicKey] = ring
		}
		ring.add(p.Rates)
	}
}

// dropped is what a tunnel has dropped for each reason, of itself and of the peers that it tells of.
func dropped(state *overview.Tunnel) map[string]uint64 {
	sums := make(map[string]uint64)
	for name, n := range state.Drops {
		sums[name] += n
	}
	for i := range state.Peers {
		for name, n := range state.Peers[i].Drops {
			sums[name] += n
		}
	}
	return sums
}

// ratesKept is how many samples of rates are kept of a peer, for drawing.
const ratesKept = 60

// rateRing is the latest rates of a peer, both directions together. The zero one is empty.
type rateRing struct {
	values [ratesKept]float32
	next   int
}

func (r *rateRing) add(v *overview.Rates) {
	if v == nil {
		return
	}
	r.values[r.next%ratesKept] = float32(v.Rx + v.Tx)
	r.next++
}

// latest are the n latest values, the oldest first.
func (r *rateRing) latest(n int) []float64 {
	if r == nil {
		return nil
	}
	n = min(n, r.next, ratesKept)
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(r.values[(r.next-n+i)%ratesKept])
	}
	return out
}
