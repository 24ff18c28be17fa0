package ladder

import "strings"

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
func (t *text) put(st style, s string) {
	s = t.opt.escape(s)
	t.buf = t.opt.paint(t.buf, st, s)
	t.col += columns(s)
}

// to appends spaces up to column col, at least one if something is before it.
func (t *text) to(col int) {
	if t.col >= col && t.col > 0 {
		col = t.col + 1
	}
	t.buf = pad(t.buf, t.col, col)
	t.col = col
}

// wrap appends the words of s from the current column on and ends the line.
// Further lines begin at column indent with prefix. A word that is longer than
// a line stays whole.
func (t *text) wrap(st style, s string, indent int, prefix string) {
	line := ""
	for word := range strings.FieldsSeq(s) {
		word = t.opt.escape(word)
		switch {
		case line == "":
			line = word
		case t.col+columns(line)+1+columns(word) <= t.opt.width():
			line += " " + word
		default:
			t.buf = t.opt.paint(t.buf, st, line)
			t.newline()
			t.to(indent)
			t.put(st, prefix)
			line = word
		}
	}
	t.buf = t.opt.paint(t.buf, st, line)
	t.newline()
}

// item writes s as one of a list: mark at column indent, and text behind it.
func (t *text) item(indent int, mark, s string) {
	t.to(indent)
	t.put(plain, mark+" ")
	t.wrap(plain, s, t.col, "")
}
