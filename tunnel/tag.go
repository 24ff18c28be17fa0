package tunnel

import (
	"encoding/binary"

	"github.com/wgnode/wgnode/probe"
)

// A tag travels with a packet through the device, in an unused part of the pooled
// 64 KiB buffer that the device encrypts or decrypts it in. The device never looks
// beyond a packet's end, so what was written there at the first seam is found at the
// second: the packet is known by its buffer's identity, not by its looks.
//
// A packet that leaves room has its tag near, in the page of memory that its own
// beginning is in, so that the tag does not cost another page: of the processor's
// table of those, and of the host's memory. The tag of a longer one is far, at the
// end of the buffer.
//
//	0          near            4096                           far     65535
//	|packet ...| tag |          |          ...                | tag |      |
//
// Layout, native byte order. Inbound tags end within the first cache line:
//
//	 0  magic (random for each tunnel, with the state in the low bits)
//	 8  seq: the first seam's event
//	16  ordinal among the packets of the same peer and direction
//	24  address: inner destination (outbound), outer source (inbound)
//	40  peer
//	44  port of that address (inbound)
//	46  inner or outer length
//	48  inner source (outbound)
//	64
//
// then the remaining inner fields of an outbound packet.
const (
	tagSize = 96
	// bufferSize is what the device's pool has (device.MaxMessageSize).
	bufferSize = 65535
	// tagNear is where near tags are: a cache line's beginning.
	tagNear = 4096 - 128
	// tagFar is where far ones are. Upstream's Bind may append packets to each
	// other in the first one's buffer, up to 65507 bytes; by then the tags have been
	// read.
	tagFar = bufferSize - 31 - tagSize
	// tagGrowth is how much longer a packet is when it leaves the device encrypted:
	// up to 15 bytes of padding, and 16 of authentication.
	tagGrowth = 31
)

type tagState uint64

const (
	tagNone     tagState = iota // left the device, or never entered
	tagOutbound                 // entered from the TUN device
	tagInbound4                 // entered from the first receive function
	tagInbound6                 // entered from the second
)

const tagStateMask = 7

// tag is a view of a part of one buffer.
type tag []byte

// tagOf returns the place for the tag of the message b, which is at the beginning of
// its buffer, if it is to grow by no more than growth. It is nil if b is in no buffer
// of the pool's (handshake messages have their own), or its content leaves no room.
func (t *Tunnel) tagOf(b []byte, growth int) tag {
	switch end := len(b) + growth; {
	case cap(b) != bufferSize || end > tagFar:
		return nil
	case end <= tagNear:
		return nearTag(b)
	}
	t.far.Store(true)
	return farTag(b)
}

func nearTag(b []byte) tag { return tag(b[tagNear : tagNear+tagSize : tagNear+tagSize]) }
func farTag(b []byte) tag  { return tag(b[tagFar : tagFar+tagSize : tagFar+tagSize]) }

// findTag returns the tag that a message was given when it came in, and its state. b
// is at the beginning of the message's buffer; what it holds by now may be shorter
// than it was, or longer. The tag is nil if b is in no buffer of the pool's.
func (t *Tunnel) findTag(b []byte) (tag, tagState) {
	if cap(b) != bufferSize {
		return nil, tagNone
	}
	near := nearTag(b)
	if state := near.state(t.magic); state != tagNone || !t.far.Load() {
		return near, state
	}
	far := farTag(b)
	return far, far.state(t.magic)
}

func (t tag) state(magic uint64) tagState {
	v := binary.NativeEndian.Uint64(t)
	if v&^tagStateMask != magic {
		return tagNone
	}
	return tagState(v & tagStateMask)
}

func (t tag) setState(magic uint64, s tagState) {
	binary.NativeEndian.PutUint64(t, magic|uint64(s))
}

// clear makes a buffer's old tag void; t may be nil.
func (t tag) clear(magic uint64) {
	if t != nil {
		t.setState(magic, tagNone)
	}
}

func (t tag) seq() uint64     { return binary.NativeEndian.Uint64(t[8:]) }
func (t tag) ordinal() uint64 { return binary.NativeEndian.Uint64(t[16:]) }
func (t tag) peer() probe.PeerID {
	return probe.PeerID(binary.NativeEndian.Uint32(t[40:]))
}

// putOutbound stores what the event e of a TUN read knows.
func (t tag) putOutbound(magic uint64, e *probe.Event, ordinal uint64) {
	_ = t[tagSize-1]
	binary.NativeEndian.PutUint64(t, magic|uint64(tagOutbound))
	binary.NativeEndian.PutUint64(t[8:], e.Seq)
	binary.NativeEndian.PutUint64(t[16:], ordinal)
	*(*probe.Addr)(t[24:]) = e.InnerDst
	binary.NativeEndian.PutUint32(t[40:], uint32(e.Peer))
	binary.NativeEndian.PutUint16(t[44:], e.InnerSrcPort)
	binary.NativeEndian.PutUint16(t[46:], e.InnerLen)
	*(*probe.Addr)(t[48:]) = e.InnerSrc
	binary.NativeEndian.PutUint16(t[64:], e.InnerDstPort)
	t[66], t[67], t[68], t[69] = e.Proto, e.Info, e.PrefixBits, byte(e.Flags&^(probe.FlagQuotes|probe.FlagNodeSays))
}

// getOutbound fills e with what putOutbound stored.
func (t tag) getOutbound(e *probe.Event) {
	_ = t[tagSize-1]
	e.Pair = binary.NativeEndian.Uint64(t[8:])
	e.InnerDst = *(*probe.Addr)(t[24:])
	e.Peer = probe.PeerID(binary.NativeEndian.Uint32(t[40:]))
	e.InnerSrcPort = binary.NativeEndian.Uint16(t[44:])
	e.InnerLen = binary.NativeEndian.Uint16(t[46:])
	e.InnerSrc = *(*probe.Addr)(t[48:])
	e.InnerDstPort = binary.NativeEndian.Uint16(t[64:])
	e.Proto, e.Info, e.PrefixBits, e.Flags = t[66], t[67], t[68], probe.Flags(t[69])
}

// putInbound stores what the event e of a UDP receive knows.
func (t tag) putInbound(magic uint64, s tagState, e *probe.Event, ordinal uint64) {
	_ = t[tagSize-1]
	binary.NativeEndian.PutUint64(t, magic|uint64(s))
	binary.NativeEndian.PutUint64(t[8:], e.Seq)
	binary.NativeEndian.PutUint64(t[16:], ordinal)
	*(*probe.Addr)(t[24:]) = e.OuterSrc
	binary.NativeEndian.PutUint32(t[40:], uint32(e.Peer))
	binary.NativeEndian.PutUint16(t[44:], e.OuterSrcPort)
	binary.NativeEndian.PutUint16(t[46:], e.OuterLen)
}

// getInbound fills e with what putInbound stored.
func (t tag) getInbound(e *probe.Event) {
	_ = t[tagSize-1]
	e.Pair = binary.NativeEndian.Uint64(t[8:])
	e.OuterSrc = *(*probe.Addr)(t[24:])
	e.Peer = probe.PeerID(binary.NativeEndian.Uint32(t[40:]))
	e.OuterSrcPort = binary.NativeEndian.Uint16(t[44:])
	e.OuterLen = binary.NativeEndian.Uint16(t[46:])
}
