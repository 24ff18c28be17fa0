package top

import (
	"context"

	"github.com/gdamore/tcell/v2"
)

// wheelRows is how far the wheel of a mouse scrolls.
const wheelRows = 3

// prompt is a line that is being typed.
type prompt struct {
	text []rune
	at   int
}

// Handle does what a key, the mouse, or a new size of the terminal means.
func (m *Model) Handle(ev tcell.Event) {
	switch ev := ev.(type) {
	case *tcell.EventKey:
		m.stale = true
		m.key(ev)
	case *tcell.EventMouse:
		m.mouse(ev)
	case *tcell.EventResize:
		m.stale = true
	}
	if !m.quit {
		m.want()
	}
}

func (m *Model) key(ev *tcell.EventKey) {
	switch {
	case ev.Key() == tcell.KeyCtrlC:
		m.quit = true
	case m.prompt != nil:
		m.typed(ev)
	case m.page != nil:
		m.pageKey(ev)
	case m.player() != nil && m.timeKey(ev):
	default:
		m.paneKey(ev)
	}
}

// pageKey is a key while there is a page.
func (m *Model) pageKey(ev *tcell.EventKey) {
	p := m.page
	switch ev.Key() {
	case tcell.KeyEscape, tcell.KeyEnter, tcell.KeyBackspace, tcell.KeyBackspace2:
		m.closePage()
	case tcell.KeyHome:
		p.at = 0
	case tcell.KeyEnd:
		p.scroll(len(p.lines))
	case tcell.KeyRune:
		switch ev.Rune() {
		case 'q', '?':
			m.closePage()
		case 'g':
			p.at = 0
		case 'G':
			p.scroll(len(p.lines))
		case ' ':
			p.scroll(p.rows)
		default:
			p.scroll(step(ev, p.rows))
		}
	default:
		p.scroll(step(ev, p.rows))
	}
}

// step is how far a key moves in a list of which so many rows are seen.
func step(ev *tcell.EventKey, rows int) int {
	switch ev.Key() {
	case tcell.KeyUp:
		return -1
	case tcell.KeyDown:
		return 1
	case tcell.KeyPgUp, tcell.KeyCtrlB:
		return -max(rows-1, 1)
	case tcell.KeyPgDn, tcell.KeyCtrlF:
		return max(rows-1, 1)
	case tcell.KeyRune:
		switch ev.Rune() {
		case 'k':
			return -1
		case 'j':
			return 1
		}
	}
	return 0
}

func (m *Model) paneKey(ev *tcell.EventKey) {
	l := &m.lists[m.focus]
	switch ev.Key() {
	case tcell.KeyTab:
		m.focus = (m.focus + 1) % numPanes
	case tcell.KeyBacktab:
		m.focus = (m.focus + numPanes - 1) % numPanes
	case tcell.KeyEnter:
		m.explainChosen()
	case tcell.KeyEscape:
		m.say("")
	case tcell.KeyHome:
		l.move(-l.length)
	case tcell.KeyEnd:
		l.move(l.length)
	case tcell.KeyRune:
		switch ev.Rune() {
		case 'q':
			m.quit = true
		case '/':
			line := ""
			if len(m.words) > 0 {
				line = m.words[0]
			}
			m.prompt = &prompt{text: []rune(line), at: len([]rune(line))}
		case '?':
			m.page = m.help()
		case 's':
			m.sortNext()
		case 'r':
			m.record()
		case 'g':
			l.move(-l.length)
		case 'G':
			l.move(l.length)
		default:
			l.move(step(ev, l.rows))
		}
	default:
		if by := step(ev, l.rows); by != 0 {
			l.move(by)
		}
	}
}

// typed is a key while a line is being typed.
func (m *Model) typed(ev *tcell.EventKey) {
	p := m.prompt
	switch ev.Key() {
	case tcell.KeyEnter:
		if m.setFilter(string(p.text)) {
			m.prompt = nil
		}
	case tcell.KeyEscape:
		m.prompt = nil
		m.say("")
	case tcell.KeyLeft, tcell.KeyCtrlB:
		p.at = max(p.at-1, 0)
	case tcell.KeyRight, tcell.KeyCtrlF:
		p.at = min(p.at+1, len(p.text))
	case tcell.KeyHome, tcell.KeyCtrlA:
		p.at = 0
	case tcell.KeyEnd, tcell.KeyCtrlE:
		p.at = len(p.text)
	case tcell.KeyCtrlU:
		p.text, p.at = append([]rune(nil), p.text[p.at:]...), 0
	case tcell.KeyBackspace, tcell.KeyBackspace2:
		if p.at > 0 {
			p.text = append(p.text[:p.at-1:p.at-1], p.text[p.at:]...)
			p.at--
		}
	case tcell.KeyDelete:
		if p.at < len(p.text) {
			p.text = append(p.text[:p.at:p.at], p.text[p.at+1:]...)
		}
	case tcell.KeyRune:
		if len(p.text) < maxLine {
			p.text = append(p.text[:p.at:p.at], append([]rune{ev.Rune()}, p.text[p.at:]...)...)
			p.at++
		}
	}
}

// maxLine bounds a filter that is typed, or pasted.
const maxLine = 1024

// mouse is a click or the wheel.
func (m *Model) mouse(ev *tcell.EventMouse) {
	x, y := ev.Position()
	by := 0
	switch {
	case ev.Buttons()&tcell.WheelUp != 0:
		by = -wheelRows
	case ev.Buttons()&tcell.WheelDown != 0:
		by = wheelRows
	case ev.Buttons()&tcell.Button1 == 0:
		return // it moves, or a button was let go
	}
	m.stale = true
	if m.page != nil {
		if by != 0 {
			m.page.scroll(by)
		} else if !m.places.page.has(x, y) {
			m.closePage()
		}
		return
	}
	if m.places.timeLine.has(x, y) && by == 0 {
		m.timeClick(x - m.places.timeLine.x)
		return
	}
	for p := range numPanes {
		rows := m.places.lists[p]
		if m.places.titles[p].has(x, y) && by == 0 {
			m.focus = p
		}
		if !rows.has(x, y) {
			continue
		}
		l := &m.lists[p]
		if by != 0 {
			l.move(by)
			continue
		}
		m.focus = p
		if at := l.offset + y - rows.y; at < l.length {
			l.move(at - l.cursor)
		}
	}
}

// record begins to record the tunnel of the row that is chosen, or ends that.
func (m *Model) record() {
	rec, ok := m.src.(Recorder)
	switch {
	case !ok:
		m.say("this is a recording already")
	case m.recording != nil:
		m.stopRecording()
	default:
		tunnel := m.chosenTunnel()
		if tunnel == "" {
			m.say("there is no tunnel to record")
			return
		}
		r, err := rec.Record(tunnel, m.words)
		if err != nil {
			m.sayFailed(err)
			return
		}
		m.recording = r
		m.say("")
	}
}

func (m *Model) stopRecording() {
	if m.recording == nil {
		return
	}
	r := m.recording
	m.recording = nil
	m.say("the recording of " + r.Tunnel + " ends ...")
	m.jobs = append(m.jobs, func(context.Context) func(*Model) {
		said := r.Stop()
		return func(m *Model) { m.say(said) }
	})
}

// chosenTunnel is the tunnel of the row that is chosen, "" if there is none.
func (m *Model) chosenTunnel() string {
	at := m.lists[m.focus].cursor
	switch {
	case m.focus == paneFlows && at < len(m.flows):
		return m.flows[at].t.Name
	case m.focus == paneDrops && at < len(m.drops):
		return m.drops[at].t.Name
	case m.lists[panePeers].cursor < len(m.peers):
		return m.peers[m.lists[panePeers].cursor].t.Name
	case len(m.tunnels) > 0:
		return m.tunnels[0].Name
	}
	return ""
}
