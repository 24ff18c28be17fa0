package render

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/wgnode/wgnode/probe/harmless"
	"github.com/wgnode/wgnode/probe/walk"
)

// Measures of the picture, in pixels at its natural size. Text is laid out by
// the width that a character has on average: nobody can ask a font.
const (
	boxWidth  = 300
	gap       = 52 // between columns, where arrows cross
	headRoom  = 92
	rowGap    = 26
	lineStep  = 16
	titleRoom = 26
	perLine   = 46 // characters
	maxLines  = 3
	lostLines = 6
)

// zoneColumns are counted from the left.
var zoneColumns = map[walk.Zone]int{walk.Application: 0, walk.Tunnel: 1, walk.Network: 2}

// box is a step on the picture.
type box struct {
	*walk.Step
	x, y, height int
	row          int
	lines        []string
}

// WalkSVG draws a walk: a box for each step in one of three columns, application,
// tunnel and network, numbered as in text, with arrows in the order of the packet's
// way. A cross marks where it was lost. The document needs nothing else, has no
// scripts, and follows the reader's choice of light or dark.
func WalkSVG(w *walk.Walk) []byte {
	boxes, height := layoutWalk(w.Steps)
	class := "lost-text"
	if w.Outcome.Answered {
		class = "pass-text"
	}
	d := newDrawing(&frame{
		width: 2*edge + 3*boxWidth + 2*gap, height: height, style: walkStyle,
		title: w.Interface + " to " + w.Target + ": " + w.Outcome.Summary, head: clip(walkHeading(w), 100),
		class: class, summary: clip(w.Outcome.Summary, 150),
	})
	for i, name := range []string{"application", "tunnel " + w.Interface, "network"} {
		d.printf(`<text class="column" x="%d" y="80">%s</text>`+"\n", zoneX(i)+boxWidth/2, harmless.XML(name))
	}
	for i := 1; i < len(boxes); i++ {
		d.arrow(&boxes[i-1], &boxes[i])
	}
	for i := range boxes {
		d.box(&boxes[i])
	}
	return d.finish()
}

func walkHeading(w *walk.Walk) string {
	s := w.Interface + " to " + w.Target
	switch {
	case w.PeerName != "":
		s += " via peer " + w.PeerName
	case w.Peer != "":
		s += " via peer " + w.Peer
	}
	return s
}

func zoneX(i int) int { return edge + i*(boxWidth+gap) }

// layoutWalk gives each step its place. The way leads down; a step in another column
// than the one before stands beside it.
func layoutWalk(steps []walk.Step) (boxes []box, height int) {
	boxes = make([]box, len(steps))
	var rows []int // their heights
	for i := range steps {
		s := &steps[i]
		bx := &boxes[i]
		*bx = box{Step: s, x: zoneX(zoneColumns[s.Zone]), lines: boxLines(s)}
		bx.height = titleRoom + len(bx.lines)*lineStep + 8
		if i > 0 {
			bx.row = boxes[i-1].row
			if s.Zone == steps[i-1].Zone {
				bx.row++
			}
		}
		if bx.row == len(rows) {
			rows = append(rows, 0)
		}
		rows[bx.row] = max(rows[bx.row], bx.height)
	}
	y := headRoom
	tops := make([]int, len(rows))
	for i, h := range rows {
		tops[i] = y
		y += h + rowGap
	}
	for i := range boxes {
		boxes[i].y = tops[boxes[i].row]
		boxes[i].height = rows[boxes[i].row]
	}
	return boxes, y + edge - rowGap
}

// boxLines are what stands in a box below the title.
func boxLines(s *walk.Step) []string {
	limit := maxLines
	if s.Status == walk.Lost {
		limit = lostLines
	}
	return fold(s.Result, limit)
}

// fold breaks text into at most limit lines. What does not fit is left out, and
// an ellipsis says so.
func fold(s string, limit int) []string {
	var lines []string
	for word := range strings.FieldsSeq(s) {
		n := len(lines)
		if n > 0 && utf8.RuneCountInString(lines[n-1])+1+utf8.RuneCountInString(word) <= perLine {
			lines[n-1] += " " + word
			continue
		}
		if n == limit {
			lines[n-1] = clip(lines[n-1]+" …", perLine)
			if !strings.HasSuffix(lines[n-1], "…") {
				lines[n-1] += "…"
			}
			return lines
		}
		lines = append(lines, clip(word, perLine))
	}
	return lines
}

func (d *drawing) box(bx *box) {
	d.printf(`<g class="%s">`+"\n", bx.Status)
	d.printf("<title>%s</title>\n", harmless.XML(strings.Join(append([]string{bx.Result}, bx.Evidence...), "\n")))
	d.printf(`<rect class="box" x="%d" y="%d" width="%d" height="%d" rx="6"/>`+"\n", bx.x, bx.y, boxWidth, bx.height)
	title := bx.Title
	if bx.Checkpoint != "" {
		title += " (" + bx.Checkpoint + ")"
	}
	d.printf(`<text class="number" x="%d" y="%d">%d</text>`+"\n", bx.x+28, bx.y+19, bx.Number)
	d.printf(`<text class="title" x="%d" y="%d">%s</text>`+"\n", bx.x+36, bx.y+19, harmless.XML(clip(title, 40)))
	for i, line := range bx.lines {
		d.printf(`<text class="line" x="%d" y="%d">%s</text>`+"\n", bx.x+12, bx.y+titleRoom+12+i*lineStep, harmless.XML(line))
	}
	if bx.Status == walk.Lost {
		d.cross(bx.x+boxWidth-4, bx.y+4, 11)
		d.printf("\n")
	}
	d.printf("</g>\n")
}

// arrow leads from one box to the next.
func (d *drawing) arrow(from, to *box) {
	class := string(to.Status)
	if to.Status == walk.Lost { // it came as far as this
		class = string(walk.Pass)
	}
	const head = 7 // length of the tip
	if from.x == to.x {
		x, y1, y2 := from.x+boxWidth/2, from.y+from.height, to.y
		between := ""
		if from.Leg != to.Leg {
			between = fmt.Sprintf(`<text class="line" x="%d" y="%d">the other end</text>`, x+12, (y1+y2)/2+4)
		}
		d.printf(`<g class="%s"><path class="way" d="M%d %dV%d"/><path class="tip" d="M%d %dl-5 %dh10z"/>%s</g>`+"\n",
			class, x, y1, y2-head, x, y2, -head, between)
		return
	}
	y := to.y + 15
	x1, x2, tip := from.x+boxWidth, to.x, -head
	if to.x < from.x {
		x1, x2, tip = from.x, to.x+boxWidth, head
	}
	d.printf(`<g class="%s"><path class="way" d="M%d %dH%d"/><path class="tip" d="M%d %dl%d -5v10z"/></g>`+"\n",
		class, x1, y, x2+tip, x2, y, tip)
}

// walkShapes are the lines of the style that have no color.
const walkShapes = `svg { font: 12px ui-sans-serif, system-ui, "Helvetica Neue", Arial, sans-serif; }
.head { font-size: 17px; font-weight: 600; }
.column { font-size: 13px; text-anchor: middle; letter-spacing: .06em; }
.box { stroke-width: 1.5; }
.title { font-weight: 600; }
.number { font-weight: 600; text-anchor: end; }
.way { fill: none; stroke-width: 2; }
.lost .box { stroke-width: 2.5; }
.unknown .box, .unknown .way { stroke-dasharray: 5 4; }
.not-reached .box, .not-reached .way { stroke-dasharray: 2 4; }
.cross { fill: none; stroke-width: 5; stroke-linecap: round; }
`

// walkColors are the lines that have one, by its name.
const walkColors = `text { fill: INK; }
.paper { fill: PAPER; }
.column, .number, .tip, .not-reached text { fill: FAINT; }
.pass-text, .pass .tip { fill: GREEN; }
.lost-text, .lost .line { fill: RED; }
.unknown .tip { fill: AMBER; }
.box { fill: BOX; stroke: FAINT; }
.way, .not-reached .box, .not-reached .way { stroke: FAINT; }
.pass .box, .pass .way { stroke: GREEN; }
.lost .box, .cross { stroke: RED; }
.unknown .box, .unknown .way { stroke: AMBER; }
`

var walkStyle = styleSheet(walkShapes, walkColors)
