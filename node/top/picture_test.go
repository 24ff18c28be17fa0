package top

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/wgnode/wgnode/probe/harmless"
)

// The pictures of the documents are made of a recording of a gateway with five peers, three of which
// cannot be reached, each for another reason.
const (
	pictures = "../../docs/pictures"
	hub      = pictures + "/hub.pcapng"
)

// pictureSize is that of the pictures, in columns and lines.
var pictureSize = [2]int{100, 30}

// TestPictures holds the pictures against what is seen; with -update it makes them.
func TestPictures(t *testing.T) {
	v := openView(t, hub, pictureSize[0], pictureSize[1])
	v.model.palette = paletteOf(256)
	v.text()
	same(t, "top.svg", drawSVG(v.cells))
	same(t, "top.cast", cast(v))
}

func same(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join(pictures, name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what is seen any more: make it again with .ci/pictures", path)
	}
}

// scene is what is done in the film, and for how long it is seen.
type scene struct {
	keys []any
	last time.Duration
}

// cast is a film in the form of asciinema: a tour of the recording.
func cast(v *view) []byte {
	var b bytes.Buffer
	line := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		b.Write(append(text, '\n'))
	}
	line(map[string]any{"version": 2, "width": pictureSize[0], "height": pictureSize[1], "title": "wgnode top -r hub.pcapng"})
	scenes := []scene{{[]any{tcell.KeyHome}, time.Second}}
	for range 9 {
		scenes = append(scenes, scene{[]any{"]"}, 500 * time.Millisecond})
	}
	scenes = append(scenes,
		scene{[]any{tcell.KeyEnd}, 2 * time.Second},
		scene{[]any{tcell.KeyTab, tcell.KeyDown, tcell.KeyDown}, 2 * time.Second},
		scene{[]any{tcell.KeyBacktab, tcell.KeyEnter}, 3 * time.Second},
		scene{[]any{tcell.KeyPgDn}, 3 * time.Second},
		scene{[]any{tcell.KeyEscape, "/dropped", tcell.KeyEnter}, 3 * time.Second},
		scene{[]any{"?"}, 3 * time.Second})
	at := time.Duration(0)
	for _, s := range scenes {
		v.keys(s.keys...).text()
		line([]any{at.Seconds(), "o", "\x1b[H\x1b[?25l" + ansi(v.cells)})
		at += s.last
	}
	line([]any{at.Seconds(), "o", "\x1b[0m\x1b[?25h\r\n"})
	return b.Bytes()
}

// run is cells of one style beside each other.
type run struct {
	x, width int
	text     string
	style    tcell.Style
}

func runsOf(s tcell.Screen, y int) (runs []run) {
	width, _ := s.Size()
	for x := 0; x < width; {
		text, style, w := s.Get(x, y)
		if text == "" {
			text = " "
		}
		w = max(w, 1)
		if n := len(runs); n > 0 && runs[n-1].style == style {
			runs[n-1].text += text
			runs[n-1].width += w
		} else {
			runs = append(runs, run{x, w, text, style})
		}
		x += w
	}
	return runs
}

// ansi is a screen as a terminal takes it.
func ansi(s tcell.Screen) string {
	var b strings.Builder
	_, height := s.Size()
	for y := range height {
		if y > 0 {
			b.WriteString("\r\n")
		}
		for _, r := range runsOf(s, y) {
			fg, bg, attr := r.style.Decompose()
			b.WriteString("\x1b[0")
			for _, a := range []struct {
				mask tcell.AttrMask
				code string
			}{{tcell.AttrBold, ";1"}, {tcell.AttrDim, ";2"}, {tcell.AttrReverse, ";7"}} {
				if attr&a.mask != 0 {
					b.WriteString(a.code)
				}
			}
			if fg.Valid() {
				fmt.Fprintf(&b, ";38;5;%d", fg-tcell.ColorValid)
			}
			if bg.Valid() {
				fmt.Fprintf(&b, ";48;5;%d", bg-tcell.ColorValid)
			}
			b.WriteString("m" + r.text)
		}
	}
	return b.String()
}

// Sizes of a cell, and colors of the paper, of a drawing.
const (
	cellWidth, cellHeight = 8, 17
	paper, ink            = "#1c1f26", "#d7dae0"
)

// inks are the colors that are used, as most terminals have them.
var inks = map[tcell.Color]string{tcell.ColorGreen: "#7ec27e", tcell.ColorMaroon: "#f07878", tcell.ColorOlive: "#d9b25f",
	tcell.ColorTeal: "#67b7c2"}

func inkOf(c tcell.Color, otherwise string) string {
	if hex, ok := inks[c]; ok {
		return hex
	}
	if !c.Valid() {
		return otherwise
	}
	return fmt.Sprintf("#%06x", c.Hex())
}

// drawSVG draws a screen.
func drawSVG(s tcell.Screen) []byte {
	var b bytes.Buffer
	width, height := s.Size()
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="monospace" font-size="13">`+"\n",
		width*cellWidth+16, height*cellHeight+16)
	fmt.Fprintf(&b, "<title>wgnode top</title>\n<rect width=\"100%%\" height=\"100%%\" rx=\"6\" fill=\"%s\"/>\n", paper)
	for y := range height {
		for _, r := range runsOf(s, y) {
			fg, bg, attr := r.style.Decompose()
			text, back := inkOf(fg, ink), inkOf(bg, "")
			if attr&tcell.AttrReverse != 0 {
				text, back = paper, ink
			}
			if back != "" {
				fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n", 8+r.x*cellWidth, 8+y*cellHeight,
					r.width*cellWidth, cellHeight, back)
			}
			plain := strings.TrimRight(r.text, " ")
			if strings.TrimSpace(plain) == "" {
				continue
			}
			weight := ""
			if attr&tcell.AttrBold != 0 {
				weight = ` font-weight="bold"`
			}
			lead := len(plain) - len(strings.TrimLeft(plain, " "))
			plain = plain[lead:]
			fmt.Fprintf(&b, `<text x="%d" y="%d" fill="%s"%s textLength="%d" xml:space="preserve">%s</text>`+"\n", 8+(r.x+lead)*cellWidth,
				8+y*cellHeight+13, text, weight, len([]rune(plain))*cellWidth, harmless.XML(plain))
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
