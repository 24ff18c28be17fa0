package tundev

import (
	"encoding/binary"
	"math/bits"
)

// sum is a one's complement sum of 16-bit words in native byte order, not yet
// folded: RFC 1071 shows that the byte order does not matter until the end.
type sum uint64

// add adds b, which must begin at an even offset of what is summed up.
func (s sum) add(b []byte) sum {
	acc := uint64(s)
	var c uint64
	for len(b) >= 64 {
		w := b[:64:64]
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(w), 0)
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(w[8:]), c)
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(w[16:]), c)
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(w[24:]), c)
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(w[32:]), c)
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(w[40:]), c)
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(w[48:]), c)
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(w[56:]), c)
		acc += c
		b = b[64:]
	}
	for len(b) >= 8 {
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(b), 0)
		acc += c
		b = b[8:]
	}
	if len(b) > 0 {
		var tail [8]byte
		copy(tail[:], b)
		acc, c = bits.Add64(acc, binary.NativeEndian.Uint64(tail[:]), 0)
		acc += c
	}
	return sum(acc)
}

// addWord adds a 16-bit number, such as a length or a protocol.
func (s sum) addWord(v uint16) sum {
	if nativeIsLittle {
		v = bits.ReverseBytes16(v)
	}
	acc, c := bits.Add64(uint64(s), uint64(v), 0)
	return sum(acc + c)
}

// fold returns the 16-bit sum in native byte order: 0xffff for the sum of a
// packet whose checksum is right.
func (s sum) fold() uint16 {
	v := uint64(s)
	v = v>>32 + v&0xffffffff
	v = v>>32 + v&0xffffffff
	v = v>>16 + v&0xffff
	v = v>>16 + v&0xffff
	return uint16(v)
}

var nativeIsLittle = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// putChecksum stores the checksum that belongs to s. In UDP 0 means that there
// is none, so that its equal takes its place (RFC 768).
func putChecksum(b []byte, s sum, udp bool) {
	v := ^s.fold()
	if udp && v == 0 {
		v = 0xffff
	}
	binary.NativeEndian.PutUint16(b, v)
}

// pseudoHeader is the sum of the pseudo header of TCP or UDP without its length
// (RFC 9293, section 3.1; RFC 8200, section 8.1). ip is the IP header.
func pseudoHeader(ip []byte, protocol uint8) sum {
	if ip[0]>>4 == 6 {
		return sum(0).add(ip[8:40]).addWord(uint16(protocol))
	}
	return sum(0).add(ip[12:20]).addWord(uint16(protocol))
}
