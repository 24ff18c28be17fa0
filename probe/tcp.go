package probe

import "encoding/binary"

// Segment holds what tells which segment of TCP answers which: sequence numbers (RFC 9293)
// and timestamps (RFC 7323).
type Segment struct {
	Seq, Ack uint32 // Ack is 0 without [TCPAck]
	Content  uint16 // bytes behind the headers
	// Stamp is the sender's clock, Echo the latest that it has had of the other's. Both are 0
	// where the segment has none.
	Stamp, Echo uint32
}

// Segment returns what the event holds of the inner packet, a segment of TCP. It reports
// false if that is nothing: events of the TUN seams have it, those of messages do not,
// nor has an older recording.
func (e *Event) Segment() (Segment, bool) {
	if e.Flags&FlagSegment == 0 || e.Proto != ProtoTCP || e.Kind != KindInner {
		return Segment{}, false
	}
	b := &e.OuterDst
	return Segment{binary.BigEndian.Uint32(b[:]), binary.BigEndian.Uint32(b[4:]), e.OuterDstPort,
		binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])}, true
}

// SetSegment records s where [Event.Segment] finds it.
func (e *Event) SetSegment(s Segment) {
	b := &e.OuterDst
	binary.BigEndian.PutUint32(b[:], s.Seq)
	binary.BigEndian.PutUint32(b[4:], s.Ack)
	binary.BigEndian.PutUint32(b[8:], s.Stamp)
	binary.BigEndian.PutUint32(b[12:], s.Echo)
	e.OuterDstPort = s.Content
	e.Flags |= FlagSegment
}

// End is the sequence number behind what the event's segment takes of them, flags included.
func (s Segment) End(e *Event) uint32 {
	end := s.Seq + uint32(s.Content)
	if flags := e.TCPFlags(); flags&(TCPSyn|TCPFin) != 0 {
		end += uint32(flags>>1&1 + flags&1)
	}
	return end
}

// Acknowledges reports whether a segment was sent by who had received one that goes the
// other way on the same connection: that of [Segment.End] end, and as it was sent at stamp or
// later, not an earlier copy, if both have timestamps (stamp is 0 if that has none). ok is
// false where the event does not say enough.
func (e *Event) Acknowledges(end, stamp uint32) (yes, ok bool) {
	s, ok := e.Segment()
	if !ok || e.TCPFlags()&TCPAck == 0 || int32(s.Ack-end) < 0 { // numbers wrap around
		return false, ok
	}
	return stamp == 0 || s.Stamp == 0 && s.Echo == 0 || int32(s.Echo-stamp) >= 0, true
}

// stamped is how the option of timestamps begins where nothing else is: two fillers, its
// kind and its length. Segments of open connections have it so (RFC 7323, appendix A).
const stamped = 0x0101080a

// decodeSegment records what b, a header of TCP and what follows, tells of the segment.
func (e *Event) decodeSegment(b []byte) {
	if len(b) < 20 {
		return
	}
	header := int(b[12]>>4) * 4
	if header < 20 || header > len(b) {
		return
	}
	out := &e.OuterDst
	copy(out[:8], b[4:12]) // the numbers, in the order in which they are kept
	if b[13]&TCPAck == 0 {
		clear(out[4:8])
	}
	if header >= 32 && binary.BigEndian.Uint32(b[20:]) == stamped {
		copy(out[8:], b[24:32])
	} else {
		copy(out[8:], timestamps(b[20:header]))
	}
	e.OuterDstPort = uint16(min(len(b)-header, 0xffff))
	e.Flags |= FlagSegment
}

// none are the timestamps of a segment without any.
var none [8]byte

// timestamps finds the content of that option among those of a segment.
func timestamps(options []byte) []byte {
	for len(options) > 0 && options[0] != 0 {
		switch {
		case options[0] == 1: // a filler
			options = options[1:]
			continue
		case len(options) < 2 || options[1] < 2 || int(options[1]) > len(options):
			return none[:]
		case options[0] == 8 && options[1] == 10:
			return options[2:10]
		}
		options = options[options[1]:]
	}
	return none[:]
}
