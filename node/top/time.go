package top

import (
	"fmt"
	"time"

	"github.com/gdamore/tcell/v2"
)

// This file is about the time line of a recording.

// playing is how a recording is played.
type playing struct {
	on    bool
	speed float64   // times as fast as it was
	since time.Time // when it was looked at last
}

// The speeds that there are.
const (
	slowest = 1.0 / 64
	fastest = 4096
)

// bigStep is how many parts of the time line the keys for far steps go.
const bigStep = 10

// timeKey is a key for the time, and reports whether it is one.
func (m *Model) timeKey(ev *tcell.EventKey) bool {
	p := m.player()
	first, last := p.Span()
	far := ev.Modifiers()&(tcell.ModShift|tcell.ModCtrl) != 0
	switch {
	case ev.Key() == tcell.KeyLeft && far, ev.Key() == tcell.KeyRune && ev.Rune() == '[':
		m.goSteps(-bigStep)
	case ev.Key() == tcell.KeyRight && far, ev.Key() == tcell.KeyRune && ev.Rune() == ']':
		m.goSteps(bigStep)
	case ev.Key() == tcell.KeyLeft:
		m.goSteps(-1)
	case ev.Key() == tcell.KeyRight:
		m.goSteps(1)
	case ev.Key() == tcell.KeyHome:
		m.goTo(first)
	case ev.Key() == tcell.KeyEnd:
		m.goTo(last)
	case ev.Key() == tcell.KeyRune && ev.Rune() == ' ':
		m.togglePlay()
	case ev.Key() == tcell.KeyRune && ev.Rune() == '+':
		m.play.speed = min(m.play.speed*2, fastest)
	case ev.Key() == tcell.KeyRune && ev.Rune() == '-':
		m.play.speed = max(m.play.speed/2, slowest)
	default:
		return false
	}
	return true
}

// parts is how many parts the time line has that is seen.
func (m *Model) parts() int { return max(m.places.timeLine.width, 1) }

// goSteps goes so many parts of the time line, to the ends of parts.
func (m *Model) goSteps(by int) {
	p := m.player()
	first, _ := p.Span()
	m.goTo(m.endOf(m.partOf(p.At()) + by))
	if by < 0 && p.At() < first {
		m.goTo(first)
	}
}

// partOf is the part of the time line that a time is in.
func (m *Model) partOf(at int64) int {
	first, last := m.player().Span()
	width := (float64(last) - float64(first) + 1) / float64(m.parts())
	return max(min(int((float64(at)-float64(first))/width), m.parts()-1), 0)
}

// endOf is the last instant of a part of the time line.
func (m *Model) endOf(part int) int64 {
	first, last := m.player().Span()
	if part >= m.parts()-1 {
		return last
	}
	if part < 0 {
		return first
	}
	width := (float64(last) - float64(first) + 1) / float64(m.parts())
	return first + int64(width*float64(part+1)) - 1
}

func (m *Model) timeClick(part int) {
	m.play.on = false
	m.goTo(m.endOf(part))
}

func (m *Model) goTo(at int64) {
	p := m.player()
	first, last := p.Span()
	p.To(max(min(at, last), first))
	m.stale = true
}

func (m *Model) togglePlay() {
	p := m.player()
	first, last := p.Span()
	if m.play.on = !m.play.on; !m.play.on {
		return
	}
	m.play.since = m.opt.Now()
	if p.At() >= last {
		p.To(first)
	}
}

// Playing reports whether time passes in a recording: Tick is to be called for each frame.
func (m *Model) Playing() bool { return m.play.on }

// Tick lets the time pass that has passed since it was called last.
func (m *Model) Tick() {
	if !m.play.on {
		return
	}
	p := m.player()
	_, last := p.Span()
	now := m.opt.Now()
	m.goTo(p.At() + int64(float64(now.Sub(m.play.since))*m.play.speed))
	m.play.since = now
	m.play.on = p.At() < last
}

// drawTime draws the time line of a recording: how much passed, and below it drops and handshakes.
func (m *Model) drawTime(a area) {
	p := m.player()
	first, last := p.Span()
	line := a.rows(1, 2).from(1).cut(a.width - 2)
	m.places.timeLine = line
	x := a.text(" Time ", m.palette.title)
	for ; x < a.width; x++ {
		a.on.SetContent(a.x+x, a.y, '─', nil, m.palette.dim)
	}
	state := ""
	if m.play.on {
		state = "playing, "
	}
	if m.play.on || m.play.speed != 1 {
		state += fmt.Sprintf("%g times as fast, ", m.play.speed)
	}
	a.from(7).right(fmt.Sprintf(" %s%s to %s ", state, clock(first), clock(last)), m.palette.dim)
	marks := p.TimeLine(line.width)
	packets := make([]float64, len(marks))
	for i, v := range marks {
		packets[i] = float64(v.Packets)
	}
	line.spark(packets, m.palette.rates)
	for i, v := range marks {
		switch {
		case v.Drops > 0:
			line.on.SetContent(line.x+i, line.y+1, '✗', nil, m.palette.bad)
		case v.Handshakes > 0:
			line.on.SetContent(line.x+i, line.y+1, '·', nil, m.palette.note)
		}
	}
	at := m.partOf(p.At())
	for y := range 2 {
		text, style, _ := contentOf(line.on, line.x+at, line.y+y)
		if text == "" || text == " " {
			text = "│"
		}
		line.on.Put(line.x+at, line.y+y, text, style.Reverse(true))
	}
}

// contentOf is what a surface has in a cell, if it tells.
func contentOf(s Surface, x, y int) (string, tcell.Style, int) {
	if g, ok := s.(interface {
		Get(x, y int) (string, tcell.Style, int)
	}); ok {
		return g.Get(x, y)
	}
	return "", tcell.StyleDefault, 1
}
