package compare

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"math"
	"text/tabwriter"
)

// Plot is a figure at several values of one thing, a line for each entry.
type Plot struct {
	X      string `json:"x"` // what the values are
	Y      string `json:"y"` // what the figure is
	Values []int  `json:"values"`
	Lines  []Line `json:"lines"`
}

// Line is one entry's in a plot.
type Line struct {
	Entry  string   `json:"entry"`
	Points []Spread `json:"points"` // as many as there are values
}

// WriteTable prints the plot for people.
func (p Plot) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "\n%s, by %s\n", p.Y, p.X)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range p.Values {
		fmt.Fprintf(t, "\t%d", v)
	}
	fmt.Fprintln(t)
	for _, l := range p.Lines {
		fmt.Fprint(t, l.Entry)
		for _, v := range l.Points {
			fmt.Fprintf(t, "\t%.3g [%.3g-%.3g]", v.Median, v.Min, v.Max)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// Of a drawing, in pixels.
const (
	panelWidth, panelHeight = 380, 260
	marginLeft, marginTop   = 56, 40
	marginRight, marginFoot = 16, 48
	legendHeight            = 28
)

// colours can be told apart also by those who do not see red and green.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}

// WriteSVG draws plots side by side: medians as lines, the least and the greatest
// of the rounds as bars. The values are evenly spaced, whatever they are.
func WriteSVG(w io.Writer, plots []Plot) error {
	b := bufio.NewWriter(w)
	width := panelWidth * max(len(plots), 1)
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n",
		width, panelHeight+legendHeight)
	fmt.Fprintf(b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, panelHeight+legendHeight)
	for i, p := range plots {
		fmt.Fprintf(b, `<g transform="translate(%d 0)">`+"\n", i*panelWidth)
		p.draw(b)
		fmt.Fprintln(b, `</g>`)
	}
	if len(plots) > 0 {
		for i, l := range plots[0].Lines {
			x := marginLeft + i*150
			fmt.Fprintf(b, `<rect x="%d" y="%d" width="14" height="4" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n",
				x, panelHeight+legendHeight/2-6, colours[i%len(colours)], x+20, panelHeight+legendHeight/2, html.EscapeString(l.Entry))
		}
	}
	fmt.Fprintln(b, `</svg>`)
	return b.Flush()
}

func (p Plot) draw(b io.Writer) {
	top := 0.0
	for _, l := range p.Lines {
		for _, v := range l.Points {
			top = max(top, v.Max)
		}
	}
	step := roundStep(top / 4)
	top = max(step, math.Ceil(top/step)*step)
	const right, foot = panelWidth - marginRight, panelHeight - marginFoot
	x := func(i int) float64 {
		return marginLeft + 12 + float64(i)*(right-marginLeft-24)/float64(max(len(p.Values)-1, 1))
	}
	y := func(v float64) float64 { return foot - v/top*(foot-marginTop) }

	fmt.Fprintf(b, `<text x="%d" y="20">%s</text>`+"\n", marginLeft, html.EscapeString(p.Y))
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n",
		(marginLeft+right)/2, panelHeight-12, html.EscapeString(p.X))
	for v := 0.0; v <= top*1.001; v += step {
		fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="#dddddd"/><text x="%d" y="%.1f" text-anchor="end">%.3g</text>`+"\n",
			marginLeft, y(v), right, marginLeft-6, y(v)+4, v)
	}
	for i, v := range p.Values {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n", x(i), foot+18, v)
	}
	for i, l := range p.Lines {
		colour := colours[i%len(colours)]
		path := ""
		for j, v := range l.Points {
			path += fmt.Sprintf("%c%.1f %.1f", "ML"[min(j, 1)], x(j), y(v.Median))
			fmt.Fprintf(b, `<path d="M%.1f %.1fV%.1f" stroke="%s" opacity="0.4" stroke-width="3"/>`+"\n", x(j), y(v.Min), y(v.Max), colour)
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x(j), y(v.Median), colour)
		}
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path, colour)
	}
}

// roundStep returns the least of 1, 2 and 5, times a power of ten, that is not
// below v.
func roundStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*unit >= v {
			return m * unit
		}
	}
	return 10 * unit
}
