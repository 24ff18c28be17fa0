package probe

import "encoding/binary"

// Checksum is the Internet checksum (RFC 1071) of parts that follow one another, each but
// the last of an even length. Of a header whose own checksum is zero it is what belongs
// there.
func Checksum(parts ...[]byte) uint16 {
	var sum uint32
	for _, b := range parts {
		for ; len(b) >= 2; b = b[2:] {
			sum += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
