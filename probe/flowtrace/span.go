package flowtrace

import (
	"net/netip"
	"strconv"

	"github.com/wgnode/wgnode/probe"
)

// Kind is OpenTelemetry's kind of a span.
type Kind uint8

// The kinds that there are here: what is awaited of another host, and what that does meanwhile.
const (
	Internal Kind = iota
	Client
	Server
)

// Attr is one attribute: a text, or a number if it has none.
type Attr struct {
	Key    string
	Text   string
	Number int64
}

// Value is the attribute's value as text.
func (a Attr) Value() string {
	if a.Text != "" {
		return a.Text
	}
	return strconv.FormatInt(a.Number, 10)
}

// Link leads to a span of another trace.
type Link struct {
	Trace TraceID
	Span  SpanID
	Why   string
}

// Span is one stretch of a flow's way through one host, or between two.
type Span struct {
	Trace      TraceID
	ID, Parent SpanID
	Remote     bool // the parent is another host's
	Name       string
	Kind       Kind
	Start, End int64 // Unix nanoseconds, of this host's clock
	Attrs      []Attr
	Links      []Link
	Error      string // what went wrong, "" if nothing did
	// Sampled says that the trace is one of those that are kept whatever becomes of them.
	Sampled bool
}

// Get is the value of an attribute, "" if there is none.
func (s *Span) Get(key string) string {
	for _, a := range s.Attrs {
		if a.Key == key {
			return a.Value()
		}
	}
	return ""
}

func (s *Span) text(key, value string) {
	if value != "" {
		s.Attrs = append(s.Attrs, Attr{Key: key, Text: value})
	}
}

func (s *Span) number(key string, n int64) { s.Attrs = append(s.Attrs, Attr{Key: key, Number: n}) }

// message notes by which message a packet came or went.
func (s *Span) message(m message) {
	if m.known {
		s.number("wgnode.message.receiver", int64(m.receiver))
		s.number("wgnode.message.counter", int64(m.counter))
	}
}

// dropped notes where and why a packet went no further.
func (s *Span) dropped(at probe.Checkpoint, why probe.Reason) {
	s.Error = why.String()
	s.text("wgnode.drop.reason", why.String())
	if at != probe.CheckpointNone {
		s.text("wgnode.drop.checkpoint", at.String())
	}
}

// ends notes addresses in the words of OpenTelemetry's conventions.
func (s *Span) ends(from, to netip.AddrPort, ports bool) {
	s.text("source.address", from.Addr().String())
	s.text("destination.address", to.Addr().String())
	if ports {
		s.number("source.port", int64(from.Port()))
		s.number("destination.port", int64(to.Port()))
	}
}
