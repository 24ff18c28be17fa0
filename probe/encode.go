package probe

import "encoding/binary"

// EventSize is the length of an event in its binary form.
const EventSize = 128

// AppendBinary appends the binary form of e to dst: all fields, in the order of
// the struct, little-endian, without padding. It is what recordings and the
// control socket carry. The error is always nil.
func (e *Event) AppendBinary(dst []byte) ([]byte, error) {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, uint64(e.Time))
	dst = le.AppendUint64(dst, e.Seq)
	dst = le.AppendUint64(dst, e.Pair)
	dst = le.AppendUint64(dst, e.Counter)
	dst = append(dst, e.InnerSrc[:]...)
	dst = append(dst, e.InnerDst[:]...)
	dst = append(dst, e.OuterSrc[:]...)
	dst = append(dst, e.OuterDst[:]...)
	dst = le.AppendUint16(dst, e.InnerSrcPort)
	dst = le.AppendUint16(dst, e.InnerDstPort)
	dst = le.AppendUint16(dst, e.OuterSrcPort)
	dst = le.AppendUint16(dst, e.OuterDstPort)
	dst = le.AppendUint32(dst, e.Receiver)
	dst = le.AppendUint32(dst, e.Sender)
	dst = le.AppendUint32(dst, uint32(e.Peer))
	dst = le.AppendUint16(dst, e.InnerLen)
	dst = le.AppendUint16(dst, e.OuterLen)
	return append(dst, byte(e.Seam), byte(e.Checkpoint), byte(e.Kind), e.Proto,
		byte(e.Reason), e.PrefixBits, byte(e.Flags), e.Info), nil
}

// SetBinary makes e what b, [EventSize] bytes, holds. Numbers that this release does not
// know, of a seam, kind or reason, stay what they are; a checkpoint that it does not know
// becomes CheckpointNone, so that what an event holds is always the index of an array of
// [NumCheckpoints].
func (e *Event) SetBinary(b *[EventSize]byte) {
	le := binary.LittleEndian
	*e = Event{
		Time: int64(le.Uint64(b[0:])), Seq: le.Uint64(b[8:]), Pair: le.Uint64(b[16:]), Counter: le.Uint64(b[24:]),
		InnerSrc: Addr(b[32:48]), InnerDst: Addr(b[48:64]), OuterSrc: Addr(b[64:80]), OuterDst: Addr(b[80:96]),
		InnerSrcPort: le.Uint16(b[96:]), InnerDstPort: le.Uint16(b[98:]),
		OuterSrcPort: le.Uint16(b[100:]), OuterDstPort: le.Uint16(b[102:]),
		Receiver: le.Uint32(b[104:]), Sender: le.Uint32(b[108:]), Peer: PeerID(le.Uint32(b[112:])),
		InnerLen: le.Uint16(b[116:]), OuterLen: le.Uint16(b[118:]),
		Seam: Seam(b[120]), Checkpoint: Checkpoint(b[121]).known(), Kind: Kind(b[122]), Proto: b[123],
		Reason: Reason(b[124]), PrefixBits: b[125], Flags: Flags(b[126]), Info: b[127],
	}
}
