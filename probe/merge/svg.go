package merge

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/harmless"
	"github.com/wgnode/wgnode/probe/picture"
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
	*Arrow
	x1, y1, x2, y2 int
}

// SVG returns a picture of the first flow's messages, or where there is no flow of
// the handshakes: a column for each host, time downwards but not to scale, an arrow
// for each message. One that was lost ends in a cross. At most a fixed number is
// drawn, and those to which something happened come first; the picture says how many
// are not. The document needs nothing else, has no scripts, and follows the reader's
// choice of light or dark.
func (r *Result) SVG() []byte {
	arrows, missed, title, verdict, healthy := r.chosen()
	columns := columnsOf(arrows)
	messages, pauses, height := layout(arrows, columns)
	width := left + max(len(columns)-1, 1)*apart + 150
	b := new(bytes.Buffer)
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", width, height, width, height)
	fmt.Fprintf(b, "<title>%s</title>\n%s", harmless.XML(title), style)
	fmt.Fprintf(b, `<rect class="paper" width="%d" height="%d"/>`+"\n", width, height)
	fmt.Fprintf(b, `<text class="head" x="24" y="34">%s</text>`+"\n", harmless.XML(picture.Clip(title, width/10)))
	class := "lost-text"
	if healthy {
		class = "data-text"
	}
	fmt.Fprintf(b, `<text class="%s" x="24" y="54">%s</text>`+"\n", class, harmless.XML(picture.Clip(verdict, width/7)))
	legend(b)
	for host, i := range columns {
		fmt.Fprintf(b, `<path class="life" d="M%d %dV%d"/><text class="column" x="%d" y="%d">%s</text>`+"\n",
			columnX(i), top-14, height-30, columnX(i), top-22, harmless.XML(picture.Clip(r.Hosts[host].Name, 30)))
	}
	for _, p := range pauses {
		fmt.Fprintf(b, `<text class="time" x="%d" y="%d">%s later</text>`+"\n", left-14, p.y, harmless.XML(p.length.String()))
	}
	for i := range messages {
		messages[i].draw(b, messages[0].first())
	}
	if missed > 0 {
		fmt.Fprintf(b, `<text class="note" x="24" y="%d">%d further messages are not drawn</text>`+"\n", height-10, missed)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// chosen are the messages to draw, in order of time, how many more there were, and
// what they are about.
func (r *Result) chosen() (arrows []*Arrow, missed int, title, verdict string, healthy bool) {
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
	arrows = slices.DeleteFunc(arrows, func(a *Arrow) bool { return a.From < 0 || a.To < 0 || a.Sent == 0 && a.Got == 0 })
	byTime := func(a, b *Arrow) int { return cmp.Compare(a.first(), b.first()) }
	slices.SortStableFunc(arrows, byTime)
	if len(arrows) > maxDrawn {
		missed += len(arrows) - maxDrawn
		slices.SortStableFunc(arrows, func(a, b *Arrow) int { return cmp.Compare(a.trouble(), b.trouble()) })
		arrows = slices.Clone(arrows[:maxDrawn])
		slices.SortStableFunc(arrows, byTime)
	}
	return arrows, missed, title, verdict, healthy
}

// first is when a message was first seen.
func (a *Arrow) first() int64 {
	if a.Sent == 0 {
		return a.Got
	}
	return a.Sent
}

// trouble is 0 if something happened to the message.
func (a *Arrow) trouble() int {
	if a.Lost || a.Refused || a.Twice || a.Overtaken || a.Dropped != probe.ReasonNone {
		return 0
	}
	return 1
}

// columnsOf gives each host a column, in the order of the recordings.
func columnsOf(arrows []*Arrow) map[int8]int {
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

func columnX(i int) int { return left + i*apart }

// gapText is a time in which nothing passed.
type gapText struct {
	y      int
	length time.Duration
}

// layout gives the ends of all messages their places, in the order of their times.
func layout(arrows []*Arrow, columns map[int8]int) (messages []drawn, pauses []gapText, height int) {
	type end struct {
		at    int64
		arrow int
		got   bool
	}
	messages = make([]drawn, len(arrows))
	var ends []end
	for i, a := range arrows {
		messages[i] = drawn{Arrow: a, x1: columnX(columns[a.From]), x2: columnX(columns[a.To])}
		ends = append(ends, end{a.first(), i, false}, end{max(a.Got, a.first()), i, true})
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

// class is the kind of a message, for its colour.
func (d *drawn) class() string {
	switch {
	case d.Lost || d.Refused:
		return "lost"
	case d.What == Data && d.Checkpoint == probe.B8:
		return "back"
	case d.What == Data:
		return "data"
	}
	return "shake"
}

func (d *drawn) draw(b *bytes.Buffer, begin int64) {
	x2, y2 := d.x2, d.y2
	cut := d.Lost || d.Refused || d.Got == 0
	if cut { // it ends on the way
		x2, y2 = d.x1+(d.x2-d.x1)*6/10, d.y1+row/2
	}
	back := tip
	if x2 < d.x1 {
		back = -tip
	}
	class := d.class()
	if d.Overtaken {
		class += " overtaken"
	}
	fmt.Fprintf(b, `<g class="%s"><title>%s</title>`, class, harmless.XML(d.words()))
	fmt.Fprintf(b, `<path class="way" d="M%d %dL%d %d"/>`, d.x1, d.y1, x2, y2)
	switch {
	case d.Lost || d.Refused:
		const r = 7
		fmt.Fprintf(b, `<path class="cross" d="M%d %dL%d %dM%d %dL%d %d"/>`, x2-r, y2-r, x2+r, y2+r, x2-r, y2+r, x2+r, y2-r)
	case d.Got == 0:
		fmt.Fprintf(b, `<text class="line" x="%d" y="%d">?</text>`, x2+back, y2+4)
	default:
		fmt.Fprintf(b, `<path class="tip" d="M%d %dl%d -5v10z"/>`, x2, y2, -back)
	}
	at, anchor := d.x1+10, "start"
	if x2 < d.x1 {
		at, anchor = d.x1-10, "end"
	}
	fmt.Fprintf(b, `<text class="line" text-anchor="%s" x="%d" y="%d">%s</text>`, anchor, at, d.y1-5, harmless.XML(d.words()))
	fmt.Fprintf(b, `<text class="time" x="%d" y="%d">%.3f ms</text></g>`+"\n", left-14, d.y1+4, float64(d.first()-begin)/1e6)
}

// words say what a message is, and what happened to it.
func (d *drawn) words() string {
	s := d.What.String()
	if d.What == Data {
		s += fmt.Sprintf(" %d", d.Counter)
	}
	if d.Checkpoint != probe.CheckpointNone {
		s = d.Checkpoint.String() + " " + s
	}
	for _, c := range []struct {
		is   bool
		what string
	}{{d.Lost, "lost"}, {d.Refused, "refused by its own host"}, {d.Twice, "arrives twice"}, {d.Overtaken, "overtaken"},
		{d.Dropped != probe.ReasonNone, d.Dropped.String()}} {
		if c.is {
			s += ", " + c.what
		}
	}
	return s
}

func legend(b *bytes.Buffer) {
	x := 24
	for _, k := range []struct{ class, what string }{{"shake", "handshake"}, {"data", "data from A to B"}, {"back", "data back"}, {"lost", "lost"}, {"data overtaken", "overtaken"}} {
		fmt.Fprintf(b, `<g class="%s"><path class="way" d="M%d 78h30"/><text class="line" x="%d" y="82">%s</text></g>`+"\n", k.class, x, x+36, k.what)
		x += 46 + 8*len(k.what)
	}
}

// shapes are the lines of the style that have no colour.
const shapes = `svg { font: 12px ui-sans-serif, system-ui, "Helvetica Neue", Arial, sans-serif; }
.head { font-size: 17px; font-weight: 600; }
.column { font-size: 14px; font-weight: 600; text-anchor: middle; }
.time { font-size: 11px; text-anchor: end; }
.way, .cross, .life { fill: none; }
.way { stroke-width: 1.6; }
.life { stroke-width: 1; }
.overtaken .way { stroke-dasharray: 6 4; }
.cross { stroke-width: 3; stroke-linecap: round; }
`

// colours are the lines that have one, by its name.
const colours = `text { fill: INK; }
.paper { fill: PAPER; }
.time, .note { fill: FAINT; }
.life { stroke: FAINT; }
.shake .way { stroke: SHAKE; } .shake .tip, .shake .line { fill: SHAKE; }
.data .way { stroke: DATA; } .data .tip, .data .line, .data-text { fill: DATA; }
.back .way { stroke: BACK; } .back .tip, .back .line { fill: BACK; }
.lost .way, .cross { stroke: LOST; } .lost .line, .lost-text { fill: LOST; }
`

var style = picture.Style(shapes, colours,
	[]string{"PAPER", "#ffffff", "INK", "#1f2328", "FAINT", "#8b949e", "SHAKE", "#9a6700", "DATA", "#1a7f37", "BACK", "#0969da", "LOST", "#cf222e"},
	[]string{"PAPER", "#0d1117", "INK", "#e6edf3", "FAINT", "#6e7681", "SHAKE", "#d29922", "DATA", "#3fb950", "BACK", "#58a6ff", "LOST", "#ff7b72"})
