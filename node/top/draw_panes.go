package top

import (
	"fmt"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/flows"
)

// column is one of the pane of peers.
type column struct {
	head  string
	width int
	from  int // how wide the screen must be for it
	right bool
	draw  func(m *Model, a area, r *peerRow, style func(tcell.Style) tcell.Style)
}

// The columns of the pane of peers, from the left. The last one has the rest.
var peerColumns = []column{
	{head: "peer", width: 16, draw: func(m *Model, a area, r *peerRow, style func(tcell.Style) tcell.Style) {
		a.text(r.p.Label(), style(m.palette.plain))
	}},
	{head: "state", width: 11, draw: func(m *Model, a area, r *peerRow, style func(tcell.Style) tcell.Style) {
		a.text(string(r.p.State), style(m.palette.ofState(r.p.State)))
	}},
	{head: "handshake", width: 9, right: true, draw: func(m *Model, a area, r *peerRow, style func(tcell.Style) tcell.Style) {
		a.right(ago(m.now(), r.p.Handshake), style(m.palette.plain))
	}},
	{head: "endpoint", width: 24, from: 116, draw: func(m *Model, a area, r *peerRow, style func(tcell.Style) tcell.Style) {
		if r.p.Endpoint.IsValid() {
			a.text(r.p.Endpoint.String(), style(m.palette.plain))
		}
	}},
	{head: "RTT", width: 8, from: 130, right: true, draw: func(m *Model, a area, r *peerRow, style func(tcell.Style) tcell.Style) {
		if r.p.RTT != nil {
			a.right(probe.Brief(r.p.RTT.Took), style(m.palette.plain))
		}
	}},
	{head: "in/s", width: 6, right: true, draw: func(m *Model, a area, r *peerRow, style func(tcell.Style) tcell.Style) {
		in, _ := m.ratesOf(r)
		a.right(rateText(in), style(m.palette.plain))
	}},
	{head: "out/s", width: 6, right: true, draw: func(m *Model, a area, r *peerRow, style func(tcell.Style) tcell.Style) {
		_, out := m.ratesOf(r)
		a.right(rateText(out), style(m.palette.plain))
	}},
	{head: "a minute", width: 8, draw: (*Model).drawSpark},
	{head: "a minute", width: 20, from: 150, draw: (*Model).drawSpark},
	{head: "verdict", width: 1, draw: func(m *Model, a area, r *peerRow, style func(tcell.Style) tcell.Style) {
		v := r.p.Verdict
		if v == nil {
			return
		}
		s := string(v.Code)
		if v.Checkpoint != "" {
			s += " at " + v.Checkpoint
		}
		if !v.Healthy && v.Code != diagnose.Idle {
			if a.width > 50 {
				s += ": " + v.Summary
			}
			a.text(s, style(m.palette.bad))
			return
		}
		a.text(s, style(m.palette.dim))
	}},
}

// rateText is a rate in a column; nothing where it is not known.
func rateText(v float64) string {
	if v < 0 {
		return ""
	}
	return amount(v)
}

func (m *Model) drawSpark(a area, r *peerRow, style func(tcell.Style) tcell.Style) {
	if m.player() == nil {
		a.spark(r.t.rates[r.p.PublicKey].latest(a.width), style(m.palette.rates))
		return
	}
	if p := r.t.Flows.Peer(r.t.idOf(r.p.PublicKey)); p != nil {
		a.spark(sum(r.t.Flows.Samples(nil, &p.Series, m.now().UnixNano(), a.width)), style(m.palette.rates))
	}
}

// ratesOf are what comes of a peer and goes to it a second, negative where that is not known. Of
// a recording it is what was in the tunnel.
func (m *Model) ratesOf(r *peerRow) (in, out float64) {
	if m.player() == nil {
		if r.p.Rates == nil {
			return -1, -1
		}
		return r.p.Rates.Rx, r.p.Rates.Tx
	}
	p := r.t.Flows.Peer(r.t.idOf(r.p.PublicKey))
	if p == nil {
		return -1, -1
	}
	s := r.t.Flows.Samples(nil, &p.Series, m.now().UnixNano(), 1)[0]
	return float64(s.In), float64(s.Out)
}

// columnsOf are the columns that a screen has room for.
func columnsOf(width int) []column {
	var list []column
	for _, c := range peerColumns {
		if width < c.from {
			continue
		}
		if n := len(list); n > 0 && list[n-1].head == c.head {
			list[n-1] = c // the wider form of the same
			continue
		}
		list = append(list, c)
	}
	return list
}

func (m *Model) drawPeers(a area) {
	n, left := 0, 0
	for _, t := range m.tunnels {
		if t.State != nil {
			n, left = n+t.State.Total, left+t.State.Left
		}
	}
	title := "Peers"
	if n > 0 {
		title = fmt.Sprintf("Peers %d of %d", min(m.lists[panePeers].cursor+1, len(m.peers)), n)
	}
	m.drawPaneTitle(a.rows(0, 1), panePeers, title)
	columns := columnsOf(a.width)
	several := len(m.tunnels) > 1
	head := a.line(1).from(1)
	if several {
		head.text("tunnel", m.palette.dim)
		head = head.from(tunnelWidth + 1)
	}
	for i, c := range columns {
		cell := head.cut(c.width)
		if i == len(columns)-1 {
			cell = head
		}
		if c.right {
			cell.right(c.head, m.palette.dim)
		} else {
			cell.text(c.head, m.palette.dim)
		}
		head = head.from(c.width + 1)
	}
	m.eachRow(a.rows(2, a.height), panePeers, func(a area, at int, style func(tcell.Style) tcell.Style) {
		r := &m.peers[at]
		if several {
			a.cut(tunnelWidth).text(r.t.Name, style(m.palette.plain))
			a = a.from(tunnelWidth + 1)
		}
		if r.p == nil {
			problem := r.t.Problem
			if problem == "" {
				problem = "asked ..."
			}
			a.text(problem, style(m.palette.dim))
			return
		}
		for i, c := range columns {
			cell := a.cut(c.width)
			if i == len(columns)-1 {
				cell = a
			}
			c.draw(m, cell, r, style)
			a = a.from(c.width + 1)
		}
	})
}

// tunnelWidth is that of a column of tunnels' names, where there are several.
const tunnelWidth = 8

// wideFlows is from which width on flows have their peer beside them.
const wideFlows = 80

func (m *Model) drawFlows(a area) {
	title := "Flows"
	if n := len(m.flows); n > 0 {
		title = fmt.Sprintf("Flows %d of %d", m.lists[paneFlows].cursor+1, n)
	}
	m.drawPaneTitle(a.rows(0, 1), paneFlows, title)
	rows := a.rows(1, a.height)
	if len(m.flows) == 0 {
		rows.from(1).text(m.nothing("no packet seen yet"), m.palette.dim)
		return
	}
	m.eachRow(rows, paneFlows, func(a area, at int, style func(tcell.Style) tcell.Style) {
		r := &m.flows[at]
		f := r.f
		text := m.palette.plain
		if f.Drops > 0 || f.Refused != "" {
			text = m.palette.bad
		}
		ends := a.cut(a.width - 12)
		x := 0
		if len(m.tunnels) > 1 {
			ends.cut(tunnelWidth).text(r.t.Name, style(m.palette.dim))
			x = tunnelWidth + 1
		}
		if a.width >= wideFlows {
			ends = ends.from(x)
			x = ends.cut(16).text(r.t.peerLabel(f.Peer), style(m.palette.dim))
			x = max(x, 16) + 1
		}
		ends.from(x).text(f.String(), style(text))
		count := estimate(f.Packets, r.t.Every)
		if f.Packets == 0 && f.Drops > 0 {
			count = "✗" + amount(float64(f.Drops))
		}
		a.from(a.width-11).cut(6).right(count, style(m.palette.plain))
		a.from(a.width-5).right(ago(m.now(), time.Unix(0, f.Last)), style(m.palette.dim))
	})
}

// nothing says why a pane is empty.
func (m *Model) nothing(otherwise string) string {
	if len(m.words) > 0 {
		return "nothing that matches yet"
	}
	return otherwise
}

// drawLadder draws the ladder of the flow that is chosen.
func (m *Model) drawLadder(a area) {
	x := a.text(" Ladder ", m.palette.title)
	for ; x < a.width; x++ {
		a.on.SetContent(a.x+x, a.y, '─', nil, m.palette.dim)
	}
	r := m.flow()
	if r == nil {
		a.line(1).from(1).text("of the selected flow", m.palette.dim)
		return
	}
	f, every := r.f, r.t.Every
	if r.t.Full != nil {
		if full := r.t.Full.Flow(f.Key); full != nil && every > 1 {
			f, every = full, r.t.FullEvery
		}
	}
	y := 1
	if a.height > 9 {
		a.line(y).from(1).text(f.String(), m.palette.bold)
		y++
	}
	at, rungs := f.Rungs(r.t.Flows.Peer(f.Peer))
	for i, c := range at {
		if y >= a.height {
			return
		}
		if c.Seam() == probe.SeamForward && !rungs[i].Seen() {
			continue // only a node without an interface sees these
		}
		m.drawRung(a.line(y), c, &rungs[i], every, m.sessionOf(r, f))
		y++
	}
	for _, line := range m.belowLadder(r, f) {
		if y < a.height {
			a.line(y).from(1).text(line, m.palette.dim)
			y++
		}
	}
}

func (m *Model) belowLadder(r *flowRow, f *flows.Flow) (lines []string) {
	if f.Refused != "" {
		lines = append(lines, "refused: "+f.Refused)
	}
	if name := r.t.peerLabel(f.Peer); name != "" {
		lines = append(lines, "peer "+name)
	}
	if r.t.Lost > 0 {
		lines = append(lines, fmt.Sprintf("%d events came too fast to count", r.t.Lost))
	}
	return lines
}

// sessionOf is when the session of a flow's peer began, zero if none stands.
func (m *Model) sessionOf(r *flowRow, f *flows.Flow) time.Time {
	k, ok := r.t.names[f.Peer]
	if !ok || r.t.State == nil {
		return time.Time{}
	}
	for i := range r.t.State.Peers {
		p := &r.t.State.Peers[i]
		if p.PublicKey == k.key && m.now().Sub(p.Handshake) < sessionTime {
			return p.Handshake
		}
	}
	return time.Time{}
}

// sessionTime is how long a session of WireGuard's lasts.
const sessionTime = 180 * time.Second

// drawRung draws a checkpoint. A handshake that was before the first event is known by the session
// that it began.
func (m *Model) drawRung(a area, c probe.Checkpoint, r *flows.Rung, every uint64, session time.Time) {
	if !c.OfFlow() && !r.Seen() && !session.IsZero() {
		a.from(1).text("·", m.palette.dim)
		a.from(3).text(c.String(), m.palette.bold)
		a.from(13).cut(5).right(ago(m.now(), session), m.palette.dim)
		if a.width > ladderNarrow {
			a.from(19).text("earlier session", m.palette.dim)
		}
		return
	}
	mark, style := "?", m.palette.dim
	switch {
	case r.Drops > 0 && r.DropAt >= r.Last:
		mark, style = "✗", m.palette.bad
	case r.Packets > 0:
		mark, style = "✓", m.palette.good
	}
	a.from(1).text(mark, style)
	a.from(3).text(c.String(), m.palette.bold)
	if !c.OfFlow() {
		every = 1 // what is rare is never left out
	}
	switch {
	case r.Drops > 0:
		a.from(6).cut(6).right(estimate(r.Packets, every), m.palette.plain)
		a.from(13).text(estimate(r.Drops, every)+"× "+r.Why, m.palette.bad)
	case r.Packets > 0:
		a.from(6).cut(6).right(estimate(r.Packets, every), m.palette.plain)
		a.from(13).cut(5).right(ago(m.now(), time.Unix(0, r.Last)), m.palette.dim)
		fallthrough
	default:
		if a.width > ladderNarrow {
			a.from(19).text(c.Text(), m.palette.dim)
		}
	}
}

func (m *Model) drawDrops(a area) {
	title := "Drops"
	if n := len(m.drops); n > 0 {
		title = fmt.Sprintf("Drops %d of %d", m.lists[paneDrops].cursor+1, n)
	}
	m.drawPaneTitle(a.rows(0, 1), paneDrops, title)
	rows := a.rows(1, a.height)
	if len(m.drops) == 0 {
		rows.from(1).text(m.nothing("nothing dropped"), m.palette.dim)
		return
	}
	several := len(m.tunnels) > 1
	m.eachRow(rows, paneDrops, func(a area, at int, style func(tcell.Style) tcell.Style) {
		r := &m.drops[at]
		if several {
			a.cut(tunnelWidth).text(r.t.Name, style(m.palette.plain))
			a = a.from(tunnelWidth + 1)
		}
		loud := m.palette.plain
		if r.rate > 0 || r.seen > 0 {
			loud = m.palette.bad
		}
		a.cut(21).text(r.name, style(loud))
		every := r.t.Every
		if r.total > 0 && r.t.before != nil && r.t.State != nil && r.t.State.Left == 0 {
			every = 1 // it is counted
		}
		a.from(22).cut(6).right(estimate(r.seen, every), style(m.palette.plain))
		x := 29
		if m.player() == nil {
			rate := ""
			if r.rate > 0 {
				rate = amount(r.rate) + "/s"
			}
			a.from(x).cut(6).right(rate, style(loud))
			total := ""
			if r.total > 0 {
				total = "of " + amount(float64(r.total))
			}
			a.from(x+7).cut(8).text(total, style(m.palette.dim))
			x += 15
		}
		a.from(x).cut(5).right(ago(m.now(), time.Unix(0, r.last)), style(m.palette.dim))
		a.from(x+6).text(r.meaning, style(m.palette.dim))
	})
}
