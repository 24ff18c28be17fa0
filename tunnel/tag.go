package tunnel

import (
	"encoding/binary"

	"github.com/wgnode/wgnode/probe"
)

// A tag travels with a packet through the device, in the unused tail of the
// pooled 64 KiB buffer that the device encrypts or decrypts it in. The device
// never looks beyond a packet's end, so what was written there at the first
// seam is found at the second: the packet is known by its buffer's identity,
// not by its looks.
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
	// tagEnd is the distance from the end of the buffer. Upstream's Bind may
	// append packets to each other in the first one's buffer, up to 65507
	// bytes; by then the tags have been read.
	tagEnd = 31
	// maxTagged is the longest message whose buffer has room for a tag.
	maxTagged = 65535 - tagEnd - tagSize
)

type tagState uint64

const (
	tagNone     tagState = iota // left the device, or never entered
	tagOutbound                 // entered from the TUN device
	tagInbound4                 // entered from the first receive function
	tagInbound6                 // entered from the second
)

const tagStateMask = 7

// tag is a view of the tail of one buffer.
type tag []byte

// tagOf returns the place of the tag in the buffer that b begins somewhere in,
// or nil if b is no full-size buffer (handshake messages have their own) or
// its content leaves no room.
func tagOf(b []byte) tag {
	c := cap(b)
	if c < maxTagged+tagSize || len(b) > c-tagEnd-tagSize {
		return nil
	}
	return tag(b[c-tagEnd-tagSize : c-tagEnd : c-tagEnd])
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
	t[66], t[67], t[68], t[69] = e.Proto, e.Info, e.PrefixBits, byte(e.Flags)
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
