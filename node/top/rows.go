package top

import (
	"cmp"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/flows"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/overview"
)

// list is the state of a pane's rows: which is chosen, and which is the first that is seen.
type list struct {
	cursor, offset int
	rows           int // that fit
	length         int
	// held: the row of the cursor was chosen, and chosen is what it is about: it stays chosen when rows
	// move. Else the cursor stays in its place.
	held   bool
	chosen any
}

// keep has the cursor follow what is chosen among n rows; id says what a row is about.
func (l *list) keep(n int, id func(int) any) {
	l.length = n
	if l.held && l.chosen != nil && (l.cursor >= n || id(l.cursor) != l.chosen) {
		for i := range n {
			if id(i) == l.chosen {
				l.cursor = i
				break
			}
		}
	}
	l.clamp()
	l.chosen = nil
	if l.held && n > 0 {
		l.chosen = id(l.cursor)
	}
}

// move moves the cursor.
func (l *list) move(by int) {
	l.cursor += by
	l.held, l.chosen = true, nil
	l.clamp()
}

func (l *list) clamp() {
	l.cursor = max(min(l.cursor, l.length-1), 0)
	if l.rows <= 0 {
		return
	}
	l.offset = max(min(l.offset, l.cursor, l.length-l.rows), l.cursor-l.rows+1, 0)
}

// show has so many rows fit.
func (l *list) show(rows int) {
	l.rows = rows
	l.clamp()
}

// peerRow is a peer, or, without one, a tunnel of which nothing is heard.
type peerRow struct {
	t *Tunnel
	p *overview.Peer
}

type peerID struct {
	tunnel string
	key    key.Public
}

func (r *peerRow) id() any {
	if r.p == nil {
		return peerID{tunnel: r.t.Name}
	}
	return peerID{r.t.Name, r.p.PublicKey}
}

func (m *Model) listPeers() {
	m.peers = m.peers[:0]
	for _, t := range m.tunnels {
		if t.Problem != "" || t.State == nil {
			m.peers = append(m.peers, peerRow{t: t})
			continue
		}
		for i := range t.State.Peers {
			m.peers = append(m.peers, peerRow{t, &t.State.Peers[i]})
		}
	}
	if len(m.tunnels) > 1 && peerOrders[m.orders[panePeers]] == overview.SortFaults {
		// Of each tunnel they are in order; faults of any come before the rest.
		slices.SortStableFunc(m.peers, func(a, b peerRow) int { return cmp.Compare(a.rank(), b.rank()) })
	}
	l := &m.lists[panePeers]
	l.keep(len(m.peers), func(i int) any { return m.peers[i].id() })
}

func (r *peerRow) rank() int {
	switch {
	case r.p == nil:
		return 0
	case r.p.Fault():
		return 1
	}
	return 2
}

// flowRow is a flow of a tunnel.
type flowRow struct {
	t *Tunnel
	f *flows.Flow
}

type flowID struct {
	tunnel string
	key    flows.Key
}

func (r *flowRow) id() any { return flowID{r.t.Name, r.f.Key} }

// flowsListed bounds how many flows of a tunnel can be chosen from: the latest.
const flowsListed = 1000

func (m *Model) listFlows() {
	m.flows = m.flows[:0]
	var list []*flows.Flow
	for _, t := range m.tunnels {
		for _, f := range t.Flows.Flows(flowsListed) {
			m.flows = append(m.flows, flowRow{t, f})
			list = append(list, f)
		}
	}
	of := make(map[*flows.Flow]*Tunnel, len(list))
	for i := range m.flows {
		of[m.flows[i].f] = m.flows[i].t
	}
	flows.Sort(list, flowOrders[m.orders[paneFlows]].by)
	for i, f := range list {
		m.flows[i] = flowRow{of[f], f}
	}
	l := &m.lists[paneFlows]
	l.held = true // or the ladder would be another's with every packet
	l.keep(len(m.flows), func(i int) any { return m.flows[i].id() })
}

// flow is the flow that is chosen, nil if there is none.
func (m *Model) flow() *flowRow {
	if at := m.lists[paneFlows].cursor; at < len(m.flows) {
		return &m.flows[at]
	}
	return nil
}

// dropRow is what a tunnel dropped for one reason.
type dropRow struct {
	t       *Tunnel
	name    string
	kernel  bool
	seen    uint64 // in events
	total   uint64 // since the tunnel is there, 0 if that is not known
	last    int64
	latest  flows.Key
	rate    float64
	meaning string
}

type dropID struct {
	tunnel, name string
	kernel       bool
}

func (r *dropRow) id() any { return dropID{r.t.Name, r.name, r.kernel} }

// dropRate is how many were dropped a second lately.
type dropRate struct {
	seen uint64
	at   time.Time
	rate float64
}

func (m *Model) listDrops() {
	m.drops = m.drops[:0]
	for _, t := range m.tunnels {
		m.drops = append(m.drops, m.dropsOf(t)...)
	}
	slices.SortStableFunc(m.drops, func(a, b dropRow) int {
		name := cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.t.Name, b.t.Name))
		switch dropOrders[m.orders[paneDrops]] {
		case "latest":
			return cmp.Or(cmp.Compare(b.last/int64(time.Second), a.last/int64(time.Second)), name)
		case "reason":
			return name
		}
		return cmp.Or(cmp.Compare(b.seen, a.seen), cmp.Compare(b.total, a.total), name)
	})
	l := &m.lists[paneDrops]
	l.keep(len(m.drops), func(i int) any { return m.drops[i].id() })
}

func (m *Model) dropsOf(t *Tunnel) []dropRow {
	var rows []dropRow
	for _, r := range t.Flows.Reasons() {
		row := dropRow{t: t, name: r.Name, kernel: r.Kernel, seen: r.Drops, last: r.Last, latest: r.Latest,
			meaning: "packets dropped by this host's kernel"}
		if why, ok := probe.ParseReason(r.Name); ok && !r.Kernel {
			row.meaning = packets(why)
		}
		rows = append(rows, row)
	}
	rows = m.counted(t, rows)
	for i := range rows {
		rows[i].rate = m.rateOf(&rows[i])
	}
	return rows
}

// packets says what packets a reason is about.
func packets(why probe.Reason) string {
	if says := why.Meaning(); says != "" {
		return "packets " + says
	}
	return ""
}

// counted adds to rows what the tunnel itself has counted.
func (m *Model) counted(t *Tunnel, rows []dropRow) []dropRow {
	if len(m.words) > 0 || t.State == nil {
		return rows // what was counted before the filter is of everything
	}
	totals := dropped(t.State)
	exact := t.Every > 1 && t.State.Left == 0 && t.before != nil // what is counted is better than what is seen of it
	for i := range rows {
		if !rows[i].kernel {
			rows[i].total = totals[rows[i].name]
			if exact && rows[i].total >= t.before[rows[i].name] {
				rows[i].seen = rows[i].total - t.before[rows[i].name]
			}
			delete(totals, rows[i].name)
		}
	}
	for name, n := range totals {
		row := dropRow{t: t, name: name, total: n}
		if exact && n > t.before[name] {
			row.seen = n - t.before[name]
		}
		if why, ok := probe.ParseReason(name); ok {
			row.meaning = packets(why)
		}
		rows = append(rows, row)
	}
	return rows
}

// rateOf is how many were dropped a second lately. Of a recording it is not said: its time stands.
func (m *Model) rateOf(r *dropRow) float64 {
	if m.player() != nil {
		return 0
	}
	id := dropID{r.t.Name, r.name, r.kernel}
	v, now := m.rates[id], m.opt.Now()
	if v == nil || v.seen > r.seen {
		v = &dropRate{seen: r.seen, at: now}
		m.rates[id] = v
	}
	if took := now.Sub(v.at); took >= time.Second {
		v.rate = float64(r.seen-v.seen) / took.Seconds()
		v.seen, v.at = r.seen, now
	}
	return v.rate
}
