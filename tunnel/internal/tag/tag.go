// Package tag recognizes packets on both sides of the device.
//
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
//
// Whoever has found a tag at the second seam clears it. So a tag that is found in a
// buffer that the device hands out anew is that of a packet that was dropped.
package tag

import (
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"

	"github.com/wgnode/wgnode/probe"
)

const (
	size = 96
	// bufferSize is what the device's pool has (device.MaxMessageSize).
	bufferSize = 65535
	// NearAt is where near tags are: a cache line's beginning.
	NearAt = 4096 - 128
	// FarAt is where far ones are. Upstream's Bind may append packets to each
	// other in the first one's buffer, up to 65507 bytes; by then the tags have been
	// read.
	FarAt = bufferSize - 31 - size
	// Growth is how much longer a packet is when it leaves the device encrypted:
	// up to 15 bytes of padding, and 16 of authentication.
	Growth = 31
)

// State says where the packet of a tag has entered the device; it is part of the tag.
type State uint64

const (
	None     State = iota // left the device, or never entered
	Outbound              // entered from the TUN device
	Inbound4              // entered from the first receive function
	Inbound6              // entered from the second
)

const stateMask = 7

// Headroom is the space before a packet in a buffer: the device's data header.
const Headroom = 16

// Tags are those of one tunnel.
type Tags struct {
	Magic uint64      // what tells its tags from what else is in memory; it does not change
	far   atomic.Bool // there has been a packet whose tag is far
	_     [48]byte    // nobody writes to the cache line that is read for each packet
}

// New returns those of a tunnel that has none yet.
func New() *Tags { return &Tags{Magic: rand.Uint64() &^ stateMask} }

// Tag is a view of a part of one buffer.
type Tag []byte

// Of returns the place for the tag of the message b, which is at the beginning of
// its buffer, if it is to grow by no more than growth. It is nil if b is in no buffer
// of the pool's (handshake messages have their own), or its content leaves no room.
func (ts *Tags) Of(b []byte, growth int) Tag {
	switch end := len(b) + growth; {
	case cap(b) != bufferSize || end > FarAt:
		return nil
	case end <= NearAt:
		return Near(b)
	}
	ts.far.Store(true)
	return far(b)
}

// Near is the place for a tag that is near.
func Near(b []byte) Tag { return Tag(b[NearAt : NearAt+size : NearAt+size]) }
func far(b []byte) Tag  { return Tag(b[FarAt : FarAt+size : FarAt+size]) }

// Find returns the tag that a message was given when it came in, and its state. b
// is at the beginning of the message's buffer; what it holds by now may be shorter
// than it was, or longer. The tag is nil if b is in no buffer of the pool's.
func (ts *Tags) Find(b []byte) (Tag, State) {
	if cap(b) != bufferSize {
		return nil, None
	}
	near := Near(b)
	if state := near.state(ts.Magic); state != None || !ts.far.Load() {
		return near, state
	}
	far := far(b)
	return far, far.state(ts.Magic)
}

func (t Tag) state(magic uint64) State {
	v := binary.NativeEndian.Uint64(t)
	if v&^stateMask != magic {
		return None
	}
	return State(v & stateMask)
}

// Clear makes a buffer's old tag void; t may be nil.
func (t Tag) Clear(magic uint64) {
	if t != nil {
		binary.NativeEndian.PutUint64(t, magic|uint64(None))
	}
}

// Seq is that of the event at the first seam, Ordinal the packet's among those of Peer
// and of its direction.
func (t Tag) Seq() uint64 { return binary.NativeEndian.Uint64(t[8:]) }

// Ordinal is described at [Tag.Seq].
func (t Tag) Ordinal() uint64 { return binary.NativeEndian.Uint64(t[16:]) }

// Peer is whose packet it is.
func (t Tag) Peer() probe.PeerID {
	return probe.PeerID(binary.NativeEndian.Uint32(t[40:]))
}

// PutOutbound stores what the event e of a TUN read knows.
func (t Tag) PutOutbound(magic uint64, e *probe.Event, ordinal uint64) {
	_ = t[size-1]
	binary.NativeEndian.PutUint64(t, magic|uint64(Outbound))
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

// GetOutbound fills e with what PutOutbound stored.
func (t Tag) GetOutbound(e *probe.Event) {
	_ = t[size-1]
	e.Pair = binary.NativeEndian.Uint64(t[8:])
	e.InnerDst = *(*probe.Addr)(t[24:])
	e.Peer = probe.PeerID(binary.NativeEndian.Uint32(t[40:]))
	e.InnerSrcPort = binary.NativeEndian.Uint16(t[44:])
	e.InnerLen = binary.NativeEndian.Uint16(t[46:])
	e.InnerSrc = *(*probe.Addr)(t[48:])
	e.InnerDstPort = binary.NativeEndian.Uint16(t[64:])
	e.Proto, e.Info, e.PrefixBits, e.Flags = t[66], t[67], t[68], probe.Flags(t[69])
}

// PutInbound stores what the event e of a UDP receive knows.
func (t Tag) PutInbound(magic uint64, s State, e *probe.Event, ordinal uint64) {
	_ = t[size-1]
	binary.NativeEndian.PutUint64(t, magic|uint64(s))
	binary.NativeEndian.PutUint64(t[8:], e.Seq)
	binary.NativeEndian.PutUint64(t[16:], ordinal)
	*(*probe.Addr)(t[24:]) = e.OuterSrc
	binary.NativeEndian.PutUint32(t[40:], uint32(e.Peer))
	binary.NativeEndian.PutUint16(t[44:], e.OuterSrcPort)
	binary.NativeEndian.PutUint16(t[46:], e.OuterLen)
}

// GetInbound fills e with what PutInbound stored.
func (t Tag) GetInbound(e *probe.Event) {
	_ = t[size-1]
	e.Pair = binary.NativeEndian.Uint64(t[8:])
	e.OuterSrc = *(*probe.Addr)(t[24:])
	e.Peer = probe.PeerID(binary.NativeEndian.Uint32(t[40:]))
	e.OuterSrcPort = binary.NativeEndian.Uint16(t[44:])
	e.OuterLen = binary.NativeEndian.Uint16(t[46:])
}
