package render

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/wgnode/wgnode/probe/eventtext"
)

// Options say how to render text. The zero Options are good for a pipe whose
// reader understands UTF-8.
type Options struct {
	eventtext.Options
	Width int // columns to wrap at, 80 if 0; commands are never wrapped
	// Whole has each peer of a doctor's report told of in full.
	Whole bool
}

const (
	defaultWidth = 80
	minWidth     = 40
)

func (o *Options) width() int {
	if o.Width == 0 {
		return defaultWidth
	}
	return max(o.Width, minWidth)
}

// The styles, by short names: each line of this package uses them.
const (
	plain  = eventtext.Plain
	bold   = eventtext.Bold
	dim    = eventtext.Dim
	red    = eventtext.Red
	green  = eventtext.Green
	yellow = eventtext.Yellow
	cyan   = eventtext.Cyan
)

// columns returns how many columns s takes, counting every character as one.
func columns(s string) int { return utf8.RuneCountInString(s) }

// text is a page of text that is being written. Its methods escape what they
// are given.
type text struct {
	buf []byte
	opt *Options
	col int // columns that are taken in the current line
}

func (t *text) newline() {
	t.buf = append(t.buf, '\n')
	t.col = 0
}

// put appends s in style st, unwrapped.
func (t *text) put(st eventtext.Style, s string) {
	s = t.opt.Escape(s)
	t.buf = t.opt.Paint(t.buf, st, s)
	t.col += columns(s)
}

// to appends spaces up to column col, at least one if something is before it.
func (t *text) to(col int) {
	if t.col >= col && t.col > 0 {
		col = t.col + 1
	}
	t.buf = append(t.buf, strings.Repeat(" ", max(col-t.col, 0))...)
	t.col = col
}

// wrap appends the words of s from the current column on and ends the line.
// Further lines begin at column indent with prefix. A word that is longer than
// a line stays whole.
func (t *text) wrap(st eventtext.Style, s string, indent int, prefix string) {
	line := ""
	for word := range strings.FieldsSeq(s) {
		word = t.opt.Escape(word)
		switch {
		case line == "":
			line = word
		case t.col+columns(line)+1+columns(word) <= t.opt.width():
			line += " " + word
		default:
			t.buf = t.opt.Paint(t.buf, st, line)
			t.newline()
			t.to(indent)
			t.put(st, prefix)
			line = word
		}
	}
	t.buf = t.opt.Paint(t.buf, st, line)
	t.newline()
}

// item writes s as one of a list: mark at column indent, and text behind it.
func (t *text) item(indent int, mark, s string) {
	t.to(indent)
	t.put(plain, mark+" ")
	t.wrap(plain, s, t.col, "")
}

// list writes lines as items below a heading, and nothing if there are none.
func (t *text) list(name string, lines []string) {
	t.section(name, len(lines), 0)
	for _, line := range lines {
		t.item(2, "-", line)
	}
}

// section writes a heading above n lines, and nothing above none.
func (t *text) section(name string, n, indent int) {
	if n == 0 {
		return
	}
	t.newline()
	t.to(indent)
	t.put(dim, name)
	t.newline()
}

// heading says what a page is about: packets of an interface to a target, and the peer
// that they go by, which may be unknown.
func (t *text) heading(from, target, peerKey, peerName string) {
	t.put(bold, from)
	t.put(plain, t.arrow())
	t.put(bold, target)
	if name := cmp.Or(peerName, t.opt.ShortKey(peerKey)); name != "" {
		t.put(plain, " via peer "+name)
	}
}

// arrow leads from one end to another.
func (t *text) arrow() string { return t.opt.Choose(" → ", " -> ") }

// sign says in one column what became of something.
type sign struct {
	style       eventtext.Style
	utf8, ascii string
}

var (
	passed  = sign{green, "✓", "+"}
	failed  = sign{red, "✗", "x"}
	skipped = sign{dim, "·", "."}
	unclear = sign{yellow, "?", "?"}
)

func (t *text) sign(s sign) { t.put(s.style, t.opt.Choose(s.utf8, s.ascii)) }

// writeTo writes the page.
func (t *text) writeTo(w io.Writer) error {
	if _, err := w.Write(t.buf); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
