package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/filter"
	"github.com/wgnode/wgnode/probe/flows"
	"github.com/wgnode/wgnode/probe/key"
)

const (
	shownFlows = 100
	keptFlows  = 2048 // flows that are counted for one page
	samples    = 60   // of a drawing

	// A page that gets more events a second than this is given one packet of more.
	busy      = 10_000
	mostEvery = 1000
	// What is past comes at once; if it has not ended by then, it is not the past that comes.
	pastTime = 3 * time.Second
)

// flowState is what the page of flows shows.
type flowState struct {
	Every     uint        `json:"every"` // one packet of so many is counted, and stands for them
	Events    uint64      `json:"events"`
	Lost      uint64      `json:"lost,omitempty"`      // events that the page missed
	Forgotten uint64      `json:"forgotten,omitempty"` // flows that had to go for others
	Total     int         `json:"total"`
	Flows     []flowRow   `json:"flows"` // the latest, or those with most bytes or drops
	Selected  *flowLadder `json:"selected,omitempty"`
	Reasons   []dropRow   `json:"reasons"`
	In        []uint64    `json:"in"` // bytes a second, the latest last
	Out       []uint64    `json:"out"`
}

// flowRow is one flow in a list.
type flowRow struct {
	ID       string     `json:"id"`
	Proto    string     `json:"proto"`
	Client   string     `json:"client"`
	Server   string     `json:"server"`
	Peer     string     `json:"peer,omitempty"` // public key
	PeerName string     `json:"peer_name,omitempty"`
	Side     probe.Side `json:"side"`
	Packets  uint64     `json:"packets"`
	Bytes    uint64     `json:"bytes"`
	Drops    uint64     `json:"drops,omitempty"`
	Why      string     `json:"why,omitempty"`
	Refused  string     `json:"refused,omitempty"`
	First    time.Time  `json:"first"`
	Last     time.Time  `json:"last"`
}

// flowLadder is one flow with its ladder.
type flowLadder struct {
	flowRow
	Rungs []flowRung `json:"rungs"`
	In    []uint64   `json:"in"`
	Out   []uint64   `json:"out"`
}

// flowRung is what passed a checkpoint.
type flowRung struct {
	Checkpoint string    `json:"checkpoint"`
	Text       string    `json:"text"`
	OfPeer     bool      `json:"of_peer,omitempty"` // of all that the peer and this host have sent each other
	Packets    uint64    `json:"packets"`
	Bytes      uint64    `json:"bytes"`
	Last       time.Time `json:"last,omitzero"`
	Drops      uint64    `json:"drops,omitempty"`
	DropAt     time.Time `json:"drop_at,omitzero"`
	Why        string    `json:"why,omitempty"`
}

// dropRow is a reason for which packets were dropped.
type dropRow struct {
	Reason string    `json:"reason"`
	Kernel bool      `json:"kernel,omitempty"`
	Drops  uint64    `json:"drops"`
	Last   time.Time `json:"last"`
}

// flowRequest is what the page wants to see.
type flowRequest struct {
	tunnel string
	words  []string // of a filter
	flow   string   // that is selected
	by     flows.By
}

func parseFlowRequest(r *http.Request) (q flowRequest, err error) {
	q = flowRequest{tunnel: r.FormValue("tunnel"), flow: r.FormValue("flow")}
	if f := r.FormValue("filter"); f != "" {
		q.words = []string{f}
	}
	if len(q.words) > 0 {
		anyPeer := func(string) ([]probe.PeerID, error) { return []probe.PeerID{1}, nil }
		if _, err := filter.Compile(q.words, anyPeer); err != nil {
			return q, badQuestion{err}
		}
	}
	switch by := r.FormValue("sort"); by {
	case "", "time":
	case "bytes":
		q.by = flows.ByBytes
	case "drops":
		q.by = flows.ByDrops
	default:
		return q, badQuestion{fmt.Errorf("%q is no order of flows: want time, bytes or drops", by)}
	}
	return q, nil
}

// flows answers with a stream of flowState.
func (s *Server) flows(w http.ResponseWriter, r *http.Request) {
	q, err := parseFlowRequest(r)
	if err != nil {
		refuseQuestion(w, err)
		return
	}
	s.stream(func(ctx context.Context, to *stream) error {
		return s.with(q.tunnel, func(c *control.Client) error { return watchFlows(ctx, c, &q, to) })
	})(w, r)
}

// watchFlows sends the state of flows until the browser goes, or the tunnel.
func watchFlows(ctx context.Context, c *control.Client, q *flowRequest, to *stream) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	v := &flowView{q: q, every: 1, table: flows.New(flows.Options{MaxFlows: keptFlows}), peers: make(map[probe.PeerID]peerNames)}
	watched := make(chan error, 1)
	go func() { watched <- v.watch(ctx, c) }()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case err := <-watched:
			return err
		case now := <-tick.C:
			if !v.begun() {
				continue
			}
			if err := to.state(now, v.state(now)); err != nil {
				stop()
				<-watched
				return nil // the browser has gone
			}
		}
	}
}

// peerNames is what a peer is called.
type peerNames struct {
	key  key.Public
	name string
}

// flowView is what a page has seen of a tunnel. It is a [control.Watcher].
type flowView struct {
	q *flowRequest

	mu      sync.Mutex
	began   time.Time // when the watch did; zero: it has not. Guarded by mu, as is all below
	live    bool      // all that was past has come
	since   time.Time // begin of the second that is counted
	counted int       // events of it
	every   uint      // one packet of so many is watched
	lost    uint64    // by watches that have ended
	table   *flows.Table
	peers   map[probe.PeerID]peerNames // of what came
}

// errBusy ends a watch that gets more than a page needs.
var errBusy = errors.New("more passes than can be shown")

// watch watches until ctx ends, which is no error, with as many packets as a page can take.
func (v *flowView) watch(ctx context.Context, c *control.Client) error {
	for past := true; ; past = false {
		lost, err := c.Watch(ctx, control.WatchRequest{Filter: v.q.words, Past: past, Every: v.every}, v)
		v.mu.Lock()
		v.lost += lost
		again := errors.Is(err, errBusy) && v.every < mostEvery
		if again {
			v.every *= 10
			v.table.SetEvery(uint64(v.every))
		}
		v.mu.Unlock()
		if !again {
			return err
		}
	}
}

// Begin implements [control.Watcher].
func (v *flowView) Begin(int) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	v.began, v.since, v.counted, v.live = now, now, 0, false
	return nil
}

// Event implements [control.Watcher].
func (v *flowView) Event(e *probe.Event, names eventtext.Names) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.table.Event(e)
	if _, known := v.peers[e.Peer]; !known && e.Peer != 0 {
		if k, name, ok := names.Peer(e.Peer); ok {
			v.peers[e.Peer] = peerNames{k, name}
		}
	}
	if v.counted++; v.counted <= busy {
		return nil
	}
	now := time.Now()
	switch isPast := !v.live && now.Sub(v.began) < pastTime; {
	case now.Sub(v.since) >= time.Second:
		v.counted, v.since = 0, now
	case !isPast && v.every < mostEvery:
		return errBusy
	}
	return nil
}

// Line implements [control.Watcher]: a node of an earlier release makes lines, which are no flows.
func (v *flowView) Line([]byte) error {
	return errors.New("the node is of an earlier release, which does not report its flows: restart it")
}

// Flush implements [control.Watcher].
func (v *flowView) Flush() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now := time.Now(); !v.live || now.Sub(v.since) >= time.Second {
		v.live, v.counted, v.since = true, 0, now
	}
	return nil
}

func (v *flowView) begun() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !v.began.IsZero()
}

// state is what there is to show.
func (v *flowView) state(now time.Time) *flowState {
	v.mu.Lock()
	defer v.mu.Unlock()
	return flowsOf(v.table, v.peers, v.q, now, v.every, v.lost)
}

// flowsOf is the state of a table.
func flowsOf(t *flows.Table, names map[probe.PeerID]peerNames, q *flowRequest, now time.Time, every uint, lost uint64) *flowState {
	s := &flowState{Every: every, Events: t.Events(), Lost: lost, Forgotten: t.Forgotten(), Total: t.Len(),
		Flows: []flowRow{}, Reasons: []dropRow{}}
	all := t.Flows(0)
	if q.by != flows.ByTime {
		flows.Sort(all, q.by)
	}
	for i, f := range all {
		if i >= shownFlows && q.flow == "" {
			break
		}
		row := rowOf(f, names)
		if row.ID == q.flow {
			s.Selected = ladderOf(t, f, row, now)
		}
		if i < shownFlows {
			s.Flows = append(s.Flows, row)
		}
	}
	for _, r := range t.Reasons() {
		s.Reasons = append(s.Reasons, dropRow{r.Name, r.Kernel, r.Drops, at(r.Last)})
	}
	s.In, s.Out = series(t, nil, now)
	return s
}

// at is a time of an event.
func at(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

func series(t *flows.Table, of *flows.Series, now time.Time) (in, out []uint64) {
	for _, v := range t.Samples(nil, of, now.UnixNano(), samples) {
		in, out = append(in, v.In), append(out, v.Out)
	}
	return in, out
}

func rowOf(f *flows.Flow, names map[probe.PeerID]peerNames) flowRow {
	row := flowRow{ID: strconv.FormatUint(uint64(f.Peer), 10) + " " + f.Key.String(), Proto: probe.ProtocolName(f.Proto),
		Client: f.Client.String(), Server: f.Server.String(), Side: f.Side, Packets: f.Packets, Bytes: f.Bytes,
		Drops: f.Drops, Why: f.Why, Refused: f.Refused, First: at(f.First), Last: at(f.Last)}
	if f.Client.Port() == 0 || f.Server.Port() == 0 { // it has none, or an identifier in place of one
		row.Client, row.Server = f.Client.Addr().String(), f.Server.Addr().String()
		row.ID += fmt.Sprintf(" %d", f.Client.Port())
	}
	if p, ok := names[f.Peer]; ok {
		row.Peer, row.PeerName = p.key.Base64(), p.name
	}
	return row
}

func ladderOf(t *flows.Table, f *flows.Flow, row flowRow, now time.Time) *flowLadder {
	l := &flowLadder{flowRow: row}
	cps, rungs := f.Rungs(t.Peer(f.Peer))
	for i, c := range cps {
		r := &rungs[i]
		l.Rungs = append(l.Rungs, flowRung{c.String(), c.Text(), !c.OfFlow(), r.Packets, r.Bytes, at(r.Last), r.Drops, at(r.DropAt), r.Why})
	}
	l.In, l.Out = series(t, &f.Series, now)
	return l
}
