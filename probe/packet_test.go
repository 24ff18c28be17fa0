package probe

import (
	"encoding/binary"
	"net/netip"
)

// packet4 is an IPv4 packet with options of 4*words bytes.
func packet4(src, dst string, proto byte, words int, l4 ...byte) []byte {
	b := make([]byte, 20+4*words, 20+4*words+len(l4))
	b[0], b[8], b[9] = 0x45+byte(words), 64, proto
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	copy(b[12:], s[:])
	copy(b[16:], d[:])
	b = append(b, l4...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// packet6 is an IPv6 packet whose first next header is next.
func packet6(src, dst string, next byte, rest ...byte) []byte {
	b := make([]byte, 40, 40+len(rest))
	b[0], b[6], b[7] = 0x60, next, 64
	s, d := netip.MustParseAddr(src).As16(), netip.MustParseAddr(dst).As16()
	copy(b[8:], s[:])
	copy(b[24:], d[:])
	binary.BigEndian.PutUint16(b[4:], uint16(len(rest)))
	return append(b, rest...)
}

// extension is an IPv6 extension header of 8*(words+1) bytes.
func extension(next byte, words int) []byte {
	b := make([]byte, 8+8*words)
	b[0], b[1] = next, byte(words)
	return b
}

// fragment6 is an IPv6 fragment header; offset is in units of 8 bytes.
func fragment6(next byte, offset uint16, more bool, id uint32) []byte {
	b := make([]byte, 8)
	b[0] = next
	binary.BigEndian.PutUint16(b[2:], offset<<3)
	if more {
		b[3] |= 1
	}
	binary.BigEndian.PutUint32(b[4:], id)
	return b
}

// fragment4 makes an IPv4 packet a fragment.
func fragment4(b []byte, offset uint16, more bool, id uint16) []byte {
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], offset)
	if more {
		b[6] |= 0x20
	}
	return b
}

func udpHeader(src, dst uint16) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint16(b, src)
	binary.BigEndian.PutUint16(b[2:], dst)
	return b
}

func tcpHeader(src, dst uint16, flags byte) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, src)
	binary.BigEndian.PutUint16(b[2:], dst)
	b[12], b[13] = 0x50, flags
	return b
}

func icmpHeader(typ, code byte, id, seq uint16, rest ...byte) []byte {
	b := make([]byte, 8, 8+len(rest))
	b[0], b[1] = typ, code
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], seq)
	return append(b, rest...)
}

func concat(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}
