package top

import (
	"fmt"
	"strings"

	"github.com/gdamore/tcell/v2"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/overview"
)

// The smallest screen on which everything has a place.
const (
	smallestWidth  = 40
	smallestHeight = 10
)

// cursor is a surface that shows one: a screen of tcell does.
type cursor interface {
	ShowCursor(x, y int)
	HideCursor()
}

// Draw draws the model. The surface is blank.
func (m *Model) Draw(s Surface) {
	m.draw(s)
	m.want() // what is chosen may have changed with the rows
	m.stale = false
}

func (m *Model) draw(s Surface) {
	unlock := m.lock()
	defer unlock()
	width, height := s.Size()
	all := area{s, 0, 0, width, height}
	if c, ok := s.(cursor); ok {
		c.HideCursor()
	}
	if width < smallestWidth || height < smallestHeight {
		m.refresh()
		m.places = places{}
		all.text(fmt.Sprintf("needs %d columns and %d lines", smallestWidth, smallestHeight), m.palette.plain)
		return
	}
	top := m.drawHead(all)
	bottom := 1
	if m.player() != nil {
		bottom = 4
	}
	m.refresh()
	l := m.arrange(all.rows(top, height-top-bottom))
	for p := range numPanes {
		m.lists[p].show(l.panes[p].height - 1)
	}
	m.lists[panePeers].show(l.panes[panePeers].height - 2) // it has a line of headings
	m.places.titles = [numPanes]area{l.panes[0].rows(0, 1), l.panes[1].rows(0, 1), l.panes[2].rows(0, 1)}
	m.places.lists = [numPanes]area{l.panes[0].rows(2, l.panes[0].height), l.panes[1].rows(1, l.panes[1].height),
		l.panes[2].rows(1, l.panes[2].height)}
	m.drawPeers(l.panes[panePeers])
	m.drawFlows(l.panes[paneFlows])
	m.drawLadder(l.ladder)
	m.drawDrops(l.panes[paneDrops])
	m.places.timeLine = area{}
	if m.player() != nil {
		m.drawTime(all.rows(height-4, 3))
	}
	m.places.page = area{}
	if m.page != nil {
		m.drawPage(all.rows(1, height-2))
	}
	m.drawFoot(all.rows(height-1, 1))
}

// layout is where the panes are.
type layout struct {
	panes  [numPanes]area
	ladder area
}

// The narrowest and the widest ladder that is of use, how wide flows of IPv4 are, and how many
// lines of drops are enough.
const (
	ladderNarrow = 28
	ladderWide   = 64
	flowsNarrow  = 56
	dropsHigh    = 8
)

// arrange divides the screen: peers above, as many lines as they need where there are few, flows and the
// ladder of one beside each other in the middle, drops below.
func (m *Model) arrange(a area) (l layout) {
	drops := max(min(len(m.drops)+1, a.height/4, dropsHigh), 3)
	peers := max(min(len(m.peers)+3, (a.height-drops)*3/5), 4)
	middle := a.height - drops - peers
	l.panes[panePeers] = a.rows(0, peers)
	mid := a.rows(peers, middle)
	l.panes[paneDrops] = a.rows(peers+middle, drops)
	ladder := max(min(a.width-flowsNarrow, a.width*2/5, ladderWide), ladderNarrow)
	if a.width < ladderNarrow*2 {
		ladder = a.width / 2
	}
	l.panes[paneFlows] = mid.cut(mid.width - ladder - 1)
	l.ladder = mid.from(mid.width - ladder)
	return l
}

// drawHead draws a line for each tunnel, as many as a quarter of the screen has, and returns how many.
func (m *Model) drawHead(a area) int {
	most := max(a.height/6, 1)
	m.drawTitle(a.rows(0, 1))
	lines := 1
	for i, t := range m.tunnels {
		if len(m.tunnels) > most && i >= most-1 {
			a.line(lines).text(fmt.Sprintf("  and %d more tunnels", len(m.tunnels)-i), m.palette.dim)
			lines++
			break
		}
		m.drawTunnel(a.line(lines), t)
		lines++
	}
	return lines
}

func (m *Model) drawTitle(a area) {
	a.fill(m.palette.bar)
	x := a.text(" wgnode top", m.palette.bar.Bold(true))
	if m.recording != nil {
		x += a.from(x).text("  ● recording "+m.recording.Tunnel+": "+m.recording.Progress(), m.palette.bar.Bold(true))
	}
	if len(m.words) > 0 {
		x += a.from(x).text("  filter: "+strings.Join(m.words, " "), m.palette.bar)
	}
	now := m.now().Format("15:04:05 ")
	if m.player() != nil {
		now = m.now().Format("2006-01-02 15:04:05.000 ")
	}
	a.from(x+1).right(now, m.palette.bar)
}

func (m *Model) drawTunnel(a area, t *Tunnel) {
	x := 1
	x += a.from(x).text(t.Name, m.palette.bold)
	if t.Problem != "" {
		a.from(x+2).text(t.Problem, m.palette.bad)
		return
	}
	if t.State == nil {
		a.from(x+2).text("...", m.palette.dim)
		return
	}
	s := t.State
	x += a.from(x).text("  "+serves(s), m.palette.dim)
	x += a.from(x).text("  "+probe.Count(s.Total, "peer"), m.palette.plain)
	sep := ": "
	for _, state := range overview.States() {
		if n := s.Counts[state]; n > 0 {
			x += a.from(x).text(sep, m.palette.plain)
			x += a.from(x).text(fmt.Sprintf("%d %s", n, state), m.palette.ofState(state))
			sep = ", "
		}
	}
	if s.Rates != nil {
		x += a.from(x).text(fmt.Sprintf("  ↓ %sB/s ↑ %sB/s ", amount(s.Rates.Rx), amount(s.Rates.Tx)), m.palette.plain)
	}
	if t.FilterError != "" {
		a.from(x+1).text(t.FilterError, m.palette.bad)
		return
	}
	if values := m.tunnelRates(t); len(values) > 0 && a.width-x > 6 {
		a.from(x+1).cut(min(a.width-x-1, len(values))).spark(values, m.palette.rates)
	}
}

// tunnelRates are what passed of a tunnel lately.
func (m *Model) tunnelRates(t *Tunnel) []float64 {
	if m.player() != nil {
		return sum(t.Flows.Samples(nil, nil, m.now().UnixNano(), ratesKept/2))
	}
	return t.sum.latest(ratesKept / 2)
}

// serves says what serves a tunnel, and how much is known of it.
func serves(s *overview.Tunnel) string {
	what := string(s.Kind)
	if s.Level != "" && s.Kind == overview.KindKernel {
		what += ", level " + string(s.Level)
	}
	if s.Netstack {
		what += " without an interface"
	}
	return what
}

// drawPaneTitle draws the line above a pane.
func (m *Model) drawPaneTitle(a area, p pane, title string) {
	style := m.palette.title
	if m.focus == p && m.page == nil {
		style = m.palette.focused
	}
	x := a.text(" "+title+" ", style)
	for ; x < a.width; x++ {
		a.on.SetContent(a.x+x, a.y, '─', nil, m.palette.dim)
	}
	if a.width > len(title)+20 {
		a.from(len(title)+4).right(" by "+m.order(p)+" ", m.palette.dim)
	}
}

// row is the style of a pane's row, for each of its parts.
func (m *Model) row(p pane, at int) func(tcell.Style) tcell.Style {
	l := &m.lists[p]
	switch {
	case at != l.cursor:
		return func(s tcell.Style) tcell.Style { return s }
	case m.focus == p:
		return m.palette.onChosen
	}
	return func(s tcell.Style) tcell.Style { return s.Bold(true) }
}

// eachRow calls draw for the rows of a pane that are seen.
func (m *Model) eachRow(a area, p pane, draw func(a area, at int, style func(tcell.Style) tcell.Style)) {
	l := &m.lists[p]
	for i := 0; i < a.height && l.offset+i < l.length; i++ {
		at := l.offset + i
		style := m.row(p, at)
		line := a.line(i)
		if at == l.cursor {
			line.fill(style(m.palette.plain)) // the others are blank already
			line.text("▸", style(m.palette.plain))
		}
		draw(line.from(1), at, style)
	}
}

// keys are those that a person needs to know, for the last line.
func (m *Model) keys() string {
	switch {
	case m.page != nil:
		return "↑↓ PgUp PgDn scroll  Esc closes"
	case m.player() != nil:
		return "←→ time  Space play  Tab pane  Enter explain  / filter  s sort  ? help  q quit"
	}
	return "Tab pane  Enter explain  / filter  r record  s sort  ? help  q quit"
}

func (m *Model) drawFoot(a area) {
	a.fill(m.palette.bar)
	if m.prompt != nil {
		x := a.text(" filter: ", m.palette.bar.Bold(true))
		room := a.width - x - 1
		first := max(m.prompt.at-room+1, 0)
		a.from(x).text(string(m.prompt.text[first:]), m.palette.bar)
		if c, ok := a.on.(cursor); ok {
			c.ShowCursor(a.x+x+m.prompt.at-first, a.y)
		}
		if m.failed && m.message != "" {
			a.from(x+len(m.prompt.text)-first+2).right(m.message+" ", m.palette.bar.Bold(true))
		}
		return
	}
	if m.message != "" {
		a.text(" "+m.message, m.palette.bar.Bold(true))
		return
	}
	a.text(" "+m.keys(), m.palette.bar)
}

func (m *Model) drawPage(a area) {
	p := m.page
	p.wrap(a.width - 4)
	p.rows = a.height - 1
	p.scroll(0)
	a.fill(m.palette.plain)
	m.places.page = a
	x := a.text(" "+p.title+" ", m.palette.focused)
	for ; x < a.width; x++ {
		a.on.SetContent(a.x+x, a.y, '─', nil, m.palette.dim)
	}
	if len(p.lines) > p.rows {
		a.right(fmt.Sprintf(" %d-%d of %d ", p.at+1, min(p.at+p.rows, len(p.lines)), len(p.lines)), m.palette.dim)
	}
	for i := 0; i < p.rows && p.at+i < len(p.lines); i++ {
		line := p.lines[p.at+i]
		a.line(1+i).from(1).text(line, m.lineStyle(line))
	}
}
