package top

import (
	"unicode/utf8"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"

	"github.com/wgnode/wgnode/probe/harmless"
)

// Surface is what a model draws on: a screen of package tcell.
type Surface interface {
	Size() (width, height int)
	Put(x, y int, text string, style tcell.Style) (rest string, width int)
	SetContent(x, y int, r rune, combining []rune, style tcell.Style)
}

// area is a rectangle of a surface. Nothing is drawn outside of it.
type area struct {
	on            Surface
	x, y          int
	width, height int
}

// line is one line of it, the part at most so wide.
func (a area) line(n int) area { return area{a.on, a.x, a.y + n, a.width, 1} }

// from is the area without its first columns.
func (a area) from(x int) area {
	x = min(x, a.width)
	return area{a.on, a.x + x, a.y, a.width - x, a.height}
}

// cut is the area's first columns.
func (a area) cut(width int) area {
	a.width = max(min(width, a.width), 0)
	return a
}

// rows are so many lines of it.
func (a area) rows(first, n int) area {
	first = max(min(first, a.height), 0)
	return area{a.on, a.x, a.y + first, a.width, max(min(n, a.height-first), 0)}
}

// has reports whether a cell of the surface is in it.
func (a area) has(x, y int) bool {
	return x >= a.x && x < a.x+a.width && y >= a.y && y < a.y+a.height
}

// fill makes every cell blank in a style.
func (a area) fill(style tcell.Style) {
	for y := range a.height {
		for x := range a.width {
			a.on.SetContent(a.x+x, a.y+y, ' ', nil, style)
		}
	}
}

// text writes s, whoever wrote that, into the first line, cut off where it does not fit, and
// returns the columns that it takes.
func (a area) text(s string, style tcell.Style) int {
	if a.height < 1 || a.width < 1 {
		return 0
	}
	s = harmless.Line(s)
	if ascii(s) { // as most is
		for i := range min(len(s), a.width) {
			r := rune(s[i])
			if i == a.width-1 && len(s) > a.width {
				r = '…'
			}
			a.on.SetContent(a.x+i, a.y, r, nil, style)
		}
		return min(len(s), a.width)
	}
	fits := uniseg.StringWidth(s) <= a.width
	x := 0
	for s != "" {
		cluster, rest, width, _ := uniseg.FirstGraphemeClusterInString(s, -1)
		limit := a.width
		if !fits {
			limit--
		}
		if x+width > limit {
			break
		}
		if width > 0 {
			a.on.Put(a.x+x, a.y, cluster, style)
		}
		x, s = x+width, rest
	}
	if !fits {
		a.on.SetContent(a.x+x, a.y, '…', nil, style)
		x++
	}
	return x
}

// right writes s at the right end.
func (a area) right(s string, style tcell.Style) {
	w := uniseg.StringWidth(harmless.Line(s))
	if w <= a.width {
		a = a.from(a.width - w)
	}
	a.text(s, style)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// bars are the heights of a column of a sparkline.
var bars = []rune(" ▁▂▃▄▅▆▇█")

// spark draws values, the latest at the right, and returns nothing where there are none. Anything
// above nothing is seen.
func (a area) spark(values []float64, style tcell.Style) {
	if a.height < 1 || len(values) == 0 {
		return
	}
	if len(values) > a.width {
		values = values[len(values)-a.width:]
	}
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	at := a.x + a.width - len(values)
	for i, v := range values {
		bar := 0
		if most > 0 && v > 0 {
			bar = max(int(v/most*float64(len(bars)-1)+0.5), 1)
		}
		a.on.SetContent(at+i, a.y, bars[bar], nil, style)
	}
}
