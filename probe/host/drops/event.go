package drops

import (
	"encoding/binary"

	"github.com/wgnode/wgnode/probe"
)

// Event has what the headers say in the form of a tunnel's event, at no seam: of a packet inside
// of a tunnel, or, if outer, of a message. It is false if they are no IP packet's.
func (d *Drop) Event(e *probe.Event, outer bool) bool {
	*e = probe.Event{}
	if !e.DecodeInner(d.Header[:]) {
		return false
	}
	e.Time, e.PrefixBits, e.Kind = d.At.UnixNano(), probe.NoPrefix, probe.KindInner
	e.Flags &^= probe.FlagTruncated // all that is kept is the headers
	e.InnerLen = uint16(min(d.Length, 0xffff))
	if outer {
		e.OuterSrc, e.OuterDst, e.OuterSrcPort, e.OuterDstPort = e.InnerSrc, e.InnerDst, e.InnerSrcPort, e.InnerDstPort
		e.InnerSrc, e.InnerDst, e.InnerSrcPort, e.InnerDstPort, e.Proto = probe.Addr{}, probe.Addr{}, 0, 0, 0
		e.InnerLen, e.Info = 0, 0
		d.message(e)
	}
	return true
}

// message reads the header of an encrypted message.
func (d *Drop) message(e *probe.Event) {
	at := int(d.Header[0]&0x0f) * 4
	if d.Header[0]>>4 == 6 {
		at = 40
	}
	e.Kind = probe.KindOther
	if at+8 > len(d.Header) {
		return
	}
	n := int(binary.BigEndian.Uint16(d.Header[at+4:])) - 8
	if n <= 0 {
		return
	}
	// Of its content there are zeros: what is asked is its length and its header. Only data is
	// longer than an initiation.
	var msg [probe.LenInitiation]byte
	copy(msg[:], d.Header[at+8:])
	_ = e.DecodeOuter(msg[:min(n, len(msg))]) // what is wrong with it is not asked
	e.OuterLen = uint16(n)
}
