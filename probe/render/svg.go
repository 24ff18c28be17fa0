package render

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/wgnode/wgnode/probe/harmless"
)

// drawing is an SVG document that is being written. It needs nothing else, has no
// scripts, and follows the reader's choice of light or dark.
type drawing struct {
	bytes.Buffer
}

// frame is what all drawings begin with.
type frame struct {
	width, height int // in pixels at its natural size
	style         string
	title         string // for programs that read it aloud
	head          string
	class         string // of the summary below the head
	summary       string
}

// edge is the room left of the head.
const edge = 24

func newDrawing(f *frame) *drawing {
	d := new(drawing)
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n",
		f.width, f.height, f.width, f.height)
	d.printf("<title>%s</title>\n%s", harmless.XML(f.title), f.style)
	d.printf(`<rect class="paper" width="%d" height="%d"/>`+"\n", f.width, f.height)
	d.printf(`<text class="head" x="%d" y="34">%s</text>`+"\n", edge, harmless.XML(f.head))
	d.printf(`<text class="%s" x="%d" y="54">%s</text>`+"\n", f.class, edge, harmless.XML(f.summary))
	return d
}

// finish returns the document.
func (d *drawing) finish() []byte {
	d.printf("</svg>\n")
	return d.Bytes()
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(d, format, args...) }

// cross marks where something was lost.
func (d *drawing) cross(x, y, r int) {
	d.printf(`<path class="cross" d="M%d %dL%d %dM%d %dL%d %d"/>`, x-r, y-r, x+r, y+r, x-r, y+r, x+r, y-r)
}

// clip shortens text to n characters, at least one.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:max(n, 1)-1]) + "…"
}

// palette are the names that style sheets have for colors, and what they stand for
// where a reader's choice is light and where it is dark. Variables of CSS would do the
// same, but programs that are not browsers know none, and draw in black.
var palette = []struct{ name, light, dark string }{
	{"PAPER", "#ffffff", "#0d1117"},
	{"INK", "#1f2328", "#e6edf3"},
	{"FAINT", "#8b949e", "#6e7681"},
	{"BOX", "#f6f8fa", "#161b22"},
	{"GREEN", "#1a7f37", "#3fb950"},
	{"RED", "#cf222e", "#ff7b72"},
	{"AMBER", "#9a6700", "#d29922"},
	{"BLUE", "#0969da", "#58a6ff"},
}

// styleSheet is the style element: shapes are the lines that have no color, colors
// those that name some of the palette.
func styleSheet(shapes, colors string) string {
	var light, dark []string
	for _, c := range palette {
		light, dark = append(light, c.name, c.light), append(dark, c.name, c.dark)
	}
	return "<style>\n" + shapes + strings.NewReplacer(light...).Replace(colors) +
		"@media (prefers-color-scheme: dark) {\n" + strings.NewReplacer(dark...).Replace(colors) + "}\n</style>\n"
}
