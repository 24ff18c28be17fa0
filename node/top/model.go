package top

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe/flows"
	"github.com/wgnode/wgnode/probe/overview"
)

// pane is a part of the screen with rows to choose from.
type pane int

const (
	panePeers pane = iota
	paneFlows
	paneDrops
	numPanes
)

// Job is something that takes time. It is done by another goroutine; what it returns is then
// done to the model.
type Job func(context.Context) func(*Model)

// Options are how a screen begins.
type Options struct {
	Colors int              // of the terminal; 0: none
	Now    func() time.Time // nil: time.Now
	// CheckFilter says what is wrong with the words of a filter, whatever the peers are.
	CheckFilter func(words []string) error
	// Filter is the filter to begin with.
	Filter []string
}

// Model is what is to be seen.
type Model struct {
	src     Source
	opt     Options
	palette palette
	tunnels []*Tunnel

	focus  pane
	lists  [numPanes]list
	peers  []peerRow
	flows  []flowRow
	drops  []dropRow
	rates  map[dropID]*dropRate
	orders [numPanes]int // which of the orders of a pane

	words   []string // of the filter
	prompt  *prompt  // a line that is being typed, nil if none is
	message string   // what is to be said
	failed  bool     // that is an error
	page    *page    // text before everything else, nil if there is none

	recording *Recording
	play      playing
	jobs      []Job
	wanted    Want
	version   uint64 // of the source, that the rows are of
	stale     bool   // something else has changed
	places    places
	quit      bool
}

// places is where things were drawn last, for the mouse.
type places struct {
	lists    [numPanes]area // the rows alone
	titles   [numPanes]area
	timeLine area
	page     area
}

// New returns a model of what there is to see of src.
func New(src Source, o Options) *Model {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CheckFilter == nil {
		o.CheckFilter = func([]string) error { return nil }
	}
	m := &Model{src: src, opt: o, palette: paletteOf(o.Colors), words: o.Filter, rates: make(map[dropID]*dropRate), stale: true}
	if p := m.player(); p != nil {
		m.play.speed = 1
	}
	m.tunnels = src.Tunnels()
	m.want()
	return m
}

// player is the source if it can be looked at as of any time.
func (m *Model) player() Player {
	p, _ := m.src.(Player)
	return p
}

// now is the time that is looked at.
func (m *Model) now() time.Time {
	if p := m.player(); p != nil {
		return time.Unix(0, p.At())
	}
	return m.opt.Now()
}

// Jobs are those that are to be done now.
func (m *Model) Jobs() []Job {
	jobs := m.jobs
	m.jobs = nil
	return jobs
}

// Done does to the model what a job has returned.
func (m *Model) Done(do func(*Model)) {
	if do != nil {
		do(m)
		m.stale = true
	}
}

// Quit reports whether the screen is to end.
func (m *Model) Quit() bool { return m.quit }

// Changed reports whether there is something to draw that was not drawn yet.
func (m *Model) Changed() bool { return m.stale || m.src.Version() != m.version }

// say has a line say something.
func (m *Model) say(text string) { m.message, m.failed, m.stale = text, false, true }

// sayFailed has it say what went wrong.
func (m *Model) sayFailed(err error) { m.message, m.failed, m.stale = err.Error(), true, true }

// setFilter has only what matches be shown, and reports whether the line is a filter.
func (m *Model) setFilter(line string) bool {
	var words []string
	if line = strings.TrimSpace(line); line != "" {
		words = []string{line} // the filter splits it, and knows of quotes
	}
	if err := m.opt.CheckFilter(words); err != nil {
		m.sayFailed(err)
		return false
	}
	m.words = words
	m.say("")
	m.want()
	return true
}

// peerOfFilter is the peer that a filter is about, "" if it is about none or several.
func (m *Model) peerOfFilter() string {
	words := strings.Fields(strings.Join(m.words, " "))
	found := ""
	for i, w := range words {
		if w != "peer" || i+1 >= len(words) {
			continue
		}
		if i > 0 && words[i-1] == "not" || found != "" || strings.ContainsAny(words[i+1], `",`) {
			return ""
		}
		found = words[i+1]
	}
	return found
}

// want tells the source what is looked at, if that has changed.
func (m *Model) want() {
	w := Want{Filter: m.words, Peer: m.peerOfFilter(), Sort: peerOrders[m.orders[panePeers]], Limit: m.limit()}
	if f := m.flow(); f != nil {
		w.Tunnel, w.Flow = f.t.Name, f.f.Key
	}
	if !reflect.DeepEqual(w, m.wanted) {
		m.wanted = w
		m.src.Want(w)
		m.stale = true
	}
}

// The peers that are asked for: a few screens more than are seen.
const (
	fewPeers  = 200
	peersStep = 500
)

func (m *Model) limit() int {
	seen := m.lists[panePeers].offset + m.lists[panePeers].rows
	if seen < fewPeers/2 {
		return fewPeers
	}
	return (seen/peersStep + 2) * peersStep
}

// refresh makes the rows of what the source has now. Its tunnels are locked.
func (m *Model) refresh() {
	m.version, m.stale = m.src.Version(), false
	m.listPeers()
	m.listFlows()
	m.listDrops()
}

// lock locks all tunnels, in the order of their names.
func (m *Model) lock() (unlock func()) {
	m.tunnels = m.src.Tunnels()
	locked := slices.Clone(m.tunnels)
	for _, t := range locked {
		t.Mu.Lock()
	}
	return func() {
		for _, t := range locked {
			t.Mu.Unlock()
		}
	}
}

// order is the name of an order of the pane's rows.
func (m *Model) order(p pane) string {
	switch p {
	case panePeers:
		return overview.Sorts()[m.orders[p]]
	case paneFlows:
		return flowOrders[m.orders[p]].name
	}
	return dropOrders[m.orders[p]]
}

// The orders of each pane, the first to begin with.
var (
	peerOrders = []overview.Sort{overview.SortFaults, overview.SortName, overview.SortHandshake, overview.SortRate,
		overview.SortBytes, overview.SortRTT}
	flowOrders = []struct {
		name string
		by   flows.By
	}{{"latest", flows.ByTime}, {"bytes", flows.ByBytes}, {"drops", flows.ByDrops}}
	dropOrders = []string{"count", "latest", "reason"}
)

// sortNext takes the next order of the focused pane.
func (m *Model) sortNext() {
	n := []int{len(peerOrders), len(flowOrders), len(dropOrders)}[m.focus]
	m.orders[m.focus] = (m.orders[m.focus] + 1) % n
	m.stale = true
	m.want()
}
