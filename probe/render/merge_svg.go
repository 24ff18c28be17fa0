package render

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/harmless"
	"github.com/wgnode/wgnode/probe/merge"
)

// Measures of the picture, in pixels at its natural size.
const (
	left     = 118 // before the first column, for times
	apart    = 380 // between columns
	top      = 132
	row      = 19 // between one end of a message and the next
	pause    = 22 // more, where nothing passed for a while
	tip      = 8
	maxDrawn = 60 // messages
)

// drawn is one message with the places of its ends.
type drawn struct {
	*merge.Arrow
	x1, y1, x2, y2 int
}

// MergedSVG draws the first flow's messages, or where there is no flow the handshakes:
// a column for each host, time downwards but not to scale, an arrow for each message.
// One that was lost ends in a cross. At most a fixed number is drawn, and those to
// which something happened come first; the picture says how many are not. The document
// needs nothing else, has no scripts, and follows the reader's choice of light or dark.
func MergedSVG(r *merge.Result) []byte {
	arrows, missed, title, verdict, healthy := chosen(r)
	columns := columnsOf(arrows)
	messages, pauses, height := layoutMessages(arrows, columns)
	width := left + max(len(columns)-1, 1)*apart + 150
	class := "lost-text"
	if healthy {
		class = "data-text"
	}
	d := newDrawing(&frame{width: width, height: height, style: mergeStyle, title: title, head: clip(title, width/10),
		class: class, summary: clip(verdict, width/7)})
	d.legend()
	for _, host := range slices.Sorted(maps.Keys(columns)) {
		i := columns[host]
		d.printf(`<path class="life" d="M%d %dV%d"/><text class="column" x="%d" y="%d">%s</text>`+"\n",
			hostX(i), top-14, height-30, hostX(i), top-22, harmless.XML(clip(r.Hosts[host].Name, 30)))
	}
	for _, p := range pauses {
		d.printf(`<text class="time" x="%d" y="%d">%s later</text>`+"\n", left-14, p.y, harmless.XML(p.length.String()))
	}
	for i := range messages {
		d.message(&messages[i], first(messages[0].Arrow))
	}
	if missed > 0 {
		d.printf(`<text class="note" x="%d" y="%d">%d further messages are not drawn</text>`+"\n", edge, height-10, missed)
	}
	return d.finish()
}

// chosen are the messages to draw, in order of time, how many more there were, and
// what they are about.
func chosen(r *merge.Result) (arrows []*merge.Arrow, missed int, title, verdict string, healthy bool) {
	healthy = true
	for i := range r.Links {
		arrows = append(arrows, r.Links[i].Arrows...)
		if v := r.Links[i].Verdict; v != nil && verdict == "" {
			verdict, healthy = string(v.Code)+": "+v.Summary, v.Healthy()
		}
	}
	title = "handshakes"
	if len(r.Flows) > 0 {
		f := &r.Flows[0]
		title = fmt.Sprintf("%s to %s, %s", f.Client, f.Target, f.Proto)
		verdict, healthy = string(f.Verdict.Code)+": "+f.Verdict.Summary, f.Verdict.Healthy()
		for i := range f.Hops {
			arrows = append(arrows, f.Hops[i].Arrows...)
			missed += f.Hops[i].Missed
		}
	}
	arrows = slices.DeleteFunc(arrows, func(a *merge.Arrow) bool { return a.From < 0 || a.To < 0 || a.Sent == 0 && a.Got == 0 })
	byTime := func(a, b *merge.Arrow) int { return cmp.Compare(first(a), first(b)) }
	slices.SortStableFunc(arrows, byTime)
	if len(arrows) > maxDrawn {
		missed += len(arrows) - maxDrawn
		slices.SortStableFunc(arrows, func(a, b *merge.Arrow) int { return cmp.Compare(trouble(a), trouble(b)) })
		arrows = slices.Clone(arrows[:maxDrawn])
		slices.SortStableFunc(arrows, byTime)
	}
	return arrows, missed, title, verdict, healthy
}

// first is when a message was first seen.
func first(a *merge.Arrow) int64 {
	if a.Sent == 0 {
		return a.Got
	}
	return a.Sent
}

// trouble is 0 if something happened to the message.
func trouble(a *merge.Arrow) int {
	if a.Lost || a.Refused || a.Twice || a.Overtaken || a.Dropped != probe.ReasonNone {
		return 0
	}
	return 1
}

// columnsOf gives each host a column, in the order of the recordings.
func columnsOf(arrows []*merge.Arrow) map[int8]int {
	var hosts []int8
	for _, a := range arrows {
		hosts = append(hosts, a.From, a.To)
	}
	slices.Sort(hosts)
	columns := make(map[int8]int)
	for i, h := range slices.Compact(hosts) {
		columns[h] = i
	}
	return columns
}

func hostX(i int) int { return left + i*apart }

// gapText is a time in which nothing passed.
type gapText struct {
	y      int
	length time.Duration
}

// layoutMessages gives the ends of all messages their places, in the order of their times.
func layoutMessages(arrows []*merge.Arrow, columns map[int8]int) (messages []drawn, pauses []gapText, height int) {
	type end struct {
		at    int64
		arrow int
		got   bool
	}
	messages = make([]drawn, len(arrows))
	var ends []end
	for i, a := range arrows {
		messages[i] = drawn{Arrow: a, x1: hostX(columns[a.From]), x2: hostX(columns[a.To])}
		ends = append(ends, end{first(a), i, false}, end{max(a.Got, first(a)), i, true})
	}
	slices.SortStableFunc(ends, func(a, b end) int {
		if c := cmp.Compare(a.at, b.at); c != 0 {
			return c
		}
		return cmp.Compare(a.arrow, b.arrow)
	})
	y := top
	for i, e := range ends {
		if i > 0 {
			y += row
			if d := time.Duration(e.at - ends[i-1].at); d >= 500*time.Millisecond {
				pauses = append(pauses, gapText{y, d.Round(100 * time.Millisecond)})
				y += pause
			}
		}
		if e.got {
			messages[e.arrow].y2 = y
		} else {
			messages[e.arrow].y1 = y
		}
	}
	return messages, pauses, y + 60
}

// class is the kind of a message, for its color.
func (m *drawn) class() string {
	switch {
	case m.Lost || m.Refused:
		return "lost"
	case m.What == merge.Data && m.Checkpoint == probe.B8:
		return "back"
	case m.What == merge.Data:
		return "data"
	}
	return "shake"
}

func (d *drawing) message(m *drawn, begin int64) {
	x2, y2 := m.x2, m.y2
	cut := m.Lost || m.Refused || m.Got == 0
	if cut { // it ends on the way
		x2, y2 = m.x1+(m.x2-m.x1)*6/10, m.y1+row/2
	}
	back := tip
	if x2 < m.x1 {
		back = -tip
	}
	class := m.class()
	if m.Overtaken {
		class += " overtaken"
	}
	d.printf(`<g class="%s"><title>%s</title>`, class, harmless.XML(m.words()))
	d.printf(`<path class="way" d="M%d %dL%d %d"/>`, m.x1, m.y1, x2, y2)
	switch {
	case m.Lost || m.Refused:
		d.cross(x2, y2, 7)
	case m.Got == 0:
		d.printf(`<text class="line" x="%d" y="%d">?</text>`, x2+back, y2+4)
	default:
		d.printf(`<path class="tip" d="M%d %dl%d -5v10z"/>`, x2, y2, -back)
	}
	at, anchor := m.x1+10, "start"
	if x2 < m.x1 {
		at, anchor = m.x1-10, "end"
	}
	d.printf(`<text class="line" text-anchor="%s" x="%d" y="%d">%s</text>`, anchor, at, m.y1-5, harmless.XML(m.words()))
	d.printf(`<text class="time" x="%d" y="%d">%.3f ms</text></g>`+"\n", left-14, m.y1+4, float64(first(m.Arrow)-begin)/1e6)
}

// words say what a message is, and what happened to it.
func (m *drawn) words() string {
	s := m.What.String()
	if m.What == merge.Data {
		s += fmt.Sprintf(" %d", m.Counter)
	}
	if m.Checkpoint != probe.CheckpointNone {
		s = m.Checkpoint.String() + " " + s
	}
	for _, c := range []struct {
		is   bool
		what string
	}{{m.Lost, "lost"}, {m.Refused, "refused by its own host"}, {m.Twice, "arrives twice"}, {m.Overtaken, "overtaken"},
		{m.Dropped != probe.ReasonNone, m.Dropped.String()}} {
		if c.is {
			s += ", " + c.what
		}
	}
	if m.Kernel != nil {
		s += ", " + m.Kernel.String()
	}
	return s
}

func (d *drawing) legend() {
	x := edge
	for _, k := range []struct{ class, what string }{{"shake", "handshake"}, {"data", "data from A to B"},
		{"back", "data back"}, {"lost", "lost"}, {"data overtaken", "overtaken"}} {
		d.printf(`<g class="%s"><path class="way" d="M%d 78h30"/><text class="line" x="%d" y="82">%s</text></g>`+"\n",
			k.class, x, x+36, k.what)
		x += 46 + 8*len(k.what)
	}
}

// mergeShapes are the lines of the style that have no color.
const mergeShapes = `svg { font: 12px ui-sans-serif, system-ui, "Helvetica Neue", Arial, sans-serif; }
.head { font-size: 17px; font-weight: 600; }
.column { font-size: 14px; font-weight: 600; text-anchor: middle; }
.time { font-size: 11px; text-anchor: end; }
.way, .cross, .life { fill: none; }
.way { stroke-width: 1.6; }
.life { stroke-width: 1; }
.overtaken .way { stroke-dasharray: 6 4; }
.cross { stroke-width: 3; stroke-linecap: round; }
`

// mergeColors are the lines that have one, by its name.
const mergeColors = `text { fill: INK; }
.paper { fill: PAPER; }
.time, .note { fill: FAINT; }
.life { stroke: FAINT; }
.shake .way { stroke: AMBER; } .shake .tip, .shake .line { fill: AMBER; }
.data .way { stroke: GREEN; } .data .tip, .data .line, .data-text { fill: GREEN; }
.back .way { stroke: BLUE; } .back .tip, .back .line { fill: BLUE; }
.lost .way, .cross { stroke: RED; } .lost .line, .lost-text { fill: RED; }
`

var mergeStyle = styleSheet(mergeShapes, mergeColors)
