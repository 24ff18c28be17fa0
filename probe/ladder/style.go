package ladder

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/harmless"
)

// Options say how to render text. The zero Options are good for a pipe whose
// reader understands UTF-8.
type Options struct {
	Color     bool           // use the terminal's colours
	ASCII     bool           // use ASCII for marks and arrows
	Width     int            // columns to wrap at, 80 if 0; commands are never wrapped
	PeerWidth int            // columns for the name of a peer in a line, 8 if 0
	Location  *time.Location // time zone, the local one if nil
}

const (
	defaultWidth     = 80
	minWidth         = 40
	defaultPeerWidth = 8
)

func (o *Options) width() int {
	if o.Width == 0 {
		return defaultWidth
	}
	return max(o.Width, minWidth)
}

func (o *Options) peerWidth() int {
	if o.PeerWidth == 0 {
		return defaultPeerWidth
	}
	return o.PeerWidth
}

// choose returns one of two forms of a sign.
func (o *Options) choose(utf8, ascii string) string {
	if o.ASCII {
		return ascii
	}
	return utf8
}

// style is a way to set off text on a terminal: the parameter of the control
// sequence SGR (ECMA-48, 8.3.117).
type style string

const (
	plain   style = ""
	bold    style = "1"
	dim     style = "2"
	red     style = "31"
	green   style = "32"
	yellow  style = "33"
	magenta style = "35"
	cyan    style = "36"
)

// begin and end append what switches s on and off again.
func (o *Options) begin(dst []byte, s style) []byte {
	if !o.Color || s == plain {
		return dst
	}
	dst = append(dst, "\x1b["...)
	dst = append(dst, s...)
	return append(dst, 'm')
}

func (o *Options) end(dst []byte, s style) []byte {
	if !o.Color || s == plain {
		return dst
	}
	return append(dst, "\x1b[0m"...)
}

// paint appends text in style s. It does not escape text.
func (o *Options) paint(dst []byte, s style, text string) []byte {
	if text == "" {
		return dst
	}
	dst = o.begin(dst, s)
	dst = append(dst, text...)
	return o.end(dst, s)
}

// sideStyle tells the two sides of the ladder apart.
func sideStyle(c probe.Checkpoint) style {
	switch {
	case c >= probe.B1:
		return magenta
	case c >= probe.A1:
		return cyan
	}
	return plain
}

const clock = "15:04:05.000000"

func (o *Options) appendClock(dst []byte, t time.Time) []byte {
	if o.Location != nil {
		t = t.In(o.Location)
	} else {
		t = t.Local()
	}
	return t.AppendFormat(dst, clock)
}

// appendEscaped appends s with what is not printable as an escape, and with ASCII every
// other rune.
func (o *Options) appendEscaped(dst []byte, s string) []byte { return harmless.Append(dst, s, o.ASCII) }

func (o *Options) escape(s string) string { return string(o.appendEscaped(nil, s)) }

// columns returns how many columns s takes, counting every character as one.
func columns(s string) int { return utf8.RuneCountInString(s) }

// pad appends spaces that fill up width columns, of which used are taken.
func pad(dst []byte, used, width int) []byte {
	return append(dst, strings.Repeat(" ", max(width-used, 0))...)
}
