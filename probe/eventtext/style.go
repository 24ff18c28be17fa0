package eventtext

import (
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/harmless"
)

// Options say how to render text. The zero Options are good for a pipe whose
// reader understands UTF-8.
type Options struct {
	Color     bool           // use the terminal's colors
	ASCII     bool           // use ASCII for marks and arrows
	PeerWidth int            // columns for the name of a peer in a line, 8 if 0
	Location  *time.Location // time zone, the local one if nil
}

const defaultPeerWidth = 8

func (o *Options) peerWidth() int {
	if o.PeerWidth == 0 {
		return defaultPeerWidth
	}
	return o.PeerWidth
}

// Choose returns one of two forms of a sign.
func (o *Options) Choose(utf8, ascii string) string {
	if o.ASCII {
		return ascii
	}
	return utf8
}

// Style sets text off on a terminal: the parameter of the control sequence SGR
// (ECMA-48, 8.3.117).
type Style string

// The styles that this program uses.
const (
	Plain   Style = ""
	Bold    Style = "1"
	Dim     Style = "2"
	Red     Style = "31"
	Green   Style = "32"
	Yellow  Style = "33"
	magenta Style = "35"
	Cyan    Style = "36"
)

// begin and end append what switches s on and off again.
func (o *Options) begin(dst []byte, s Style) []byte {
	if !o.Color || s == Plain {
		return dst
	}
	dst = append(dst, "\x1b["...)
	dst = append(dst, s...)
	return append(dst, 'm')
}

func (o *Options) end(dst []byte, s Style) []byte {
	if !o.Color || s == Plain {
		return dst
	}
	return append(dst, "\x1b[0m"...)
}

// Paint appends text in style s, which has no effect without Color. It does not
// escape text.
func (o *Options) Paint(dst []byte, s Style, text string) []byte {
	if text == "" {
		return dst
	}
	dst = o.begin(dst, s)
	dst = append(dst, text...)
	return o.end(dst, s)
}

// SideStyle sets the checkpoints of the two sides apart.
func SideStyle(c probe.Checkpoint) Style {
	switch c.Side() {
	case probe.SideB:
		return magenta
	case probe.SideA:
		return Cyan
	}
	return Plain
}

// ClockWidth is how many columns AppendClock takes.
const ClockWidth = len(clock)

const clock = "15:04:05.000000"

// AppendClock appends the time of day with microseconds.
func (o *Options) AppendClock(dst []byte, t time.Time) []byte {
	if o.Location != nil {
		t = t.In(o.Location)
	} else {
		t = t.Local()
	}
	return t.AppendFormat(dst, clock)
}

// Escape returns s with what is not printable as an escape, and with ASCII every other
// rune that is not of it.
func (o *Options) Escape(s string) string { return string(harmless.Append(nil, s, o.ASCII)) }

// ShortKey returns as much of a public key as is needed to tell it from others, and to
// give it to a filter.
func (o *Options) ShortKey(key string) string {
	if len(key) > 8 {
		key = key[:8] + o.Choose("…", "...")
	}
	return o.Escape(key)
}
