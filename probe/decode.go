package probe

import (
	"encoding/binary"
	"fmt"
)

// IP protocol numbers that decoding knows (IANA protocol-numbers).
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58

	protoHopByHop = 0
	protoRouting  = 43
	protoFragment = 44
	protoAH       = 51
	protoDestOpts = 60
)

// ProtocolName names an IP protocol for sentences: "tcp", or "protocol 47".
func ProtocolName(p uint8) string {
	switch p {
	case ProtoTCP:
		return "tcp"
	case ProtoUDP:
		return "udp"
	case ProtoICMP:
		return "icmp"
	case ProtoICMPv6:
		return "icmpv6"
	}
	return fmt.Sprintf("protocol %d", p)
}

// maxExtensionHeaders bounds the walk through IPv6 extension headers. Hosts
// send one or two.
const maxExtensionHeaders = 8

// DecodeInner fills the inner fields of e from the IP packet b: addresses,
// protocol, length, ports, Info, and the flags for fragments and truncation.
// It reads b only and keeps nothing of it. It reports false if b is no IPv4 or
// IPv6 packet (RFC 791, RFC 8200); e's inner fields are then zero.
//
// For an ICMP echo the ports are identifier and sequence number; for an ICMP
// error InnerSrcPort is the code and InnerDstPort the destination port of the
// packet that it quotes; the rest of that is where [Event.Quoted] finds it. The numbers of
// a segment of TCP are where [Event.Segment] finds them.
func (e *Event) DecodeInner(b []byte) bool {
	e.InnerSrc, e.InnerDst = Addr{}, Addr{}
	e.InnerSrcPort, e.InnerDstPort, e.Proto, e.Info = 0, 0, 0, 0
	e.InnerLen = uint16(min(len(b), 0xffff))
	e.Flags &^= FlagFragment | FlagTruncated | FlagQuotes | FlagNodeSays
	l4, first, ok := e.decodeIP(b)
	if !ok {
		return false
	}
	if !first {
		e.Flags |= FlagFragment
		return true
	}
	e.decodeTransport(l4)
	return true
}

// decodeIP fills addresses and protocol. It returns what follows the header,
// whether it begins there rather than in an earlier fragment, and whether b is
// an IP packet at all.
func (e *Event) decodeIP(b []byte) (l4 []byte, first, ok bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		l4, first = e.decode4(b)
	case len(b) >= 40 && b[0]>>4 == 6:
		l4, first = e.decode6(b)
	default:
		return nil, false, false
	}
	return l4, first, true
}

// decode4 returns what follows the header, and whether it begins there rather
// than in an earlier fragment.
func (e *Event) decode4(b []byte) (l4 []byte, first bool) {
	copy(e.InnerSrc[:12], v4Prefix[:])
	copy(e.InnerSrc[12:], b[12:16])
	copy(e.InnerDst[:12], v4Prefix[:])
	copy(e.InnerDst[12:], b[16:20])
	e.Proto = b[9]
	offset := binary.BigEndian.Uint16(b[6:8]) & 0x1fff
	hlen := int(b[0]&0x0f) * 4
	if hlen < 20 || hlen > len(b) {
		e.Flags |= FlagTruncated
		return nil, offset == 0
	}
	return b[hlen:], offset == 0
}

func (e *Event) decode6(b []byte) (l4 []byte, first bool) {
	copy(e.InnerSrc[:], b[8:24])
	copy(e.InnerDst[:], b[24:40])
	next, rest := b[6], b[40:]
	first = true
	for range maxExtensionHeaders {
		var size int
		switch next {
		case protoHopByHop, protoRouting, protoDestOpts:
			if len(rest) >= 8 {
				size = int(rest[1])*8 + 8
			}
		case protoAH: // RFC 4302: length in 4-byte units, minus 2
			if len(rest) >= 8 {
				size = int(rest[1])*4 + 8
			}
		case protoFragment:
			size = 8
			if len(rest) >= 8 && binary.BigEndian.Uint16(rest[2:4])>>3 != 0 {
				first = false
			}
		default:
			e.Proto = next
			return rest, first
		}
		if size == 0 || size > len(rest) {
			e.Proto = next
			e.Flags |= FlagTruncated
			return nil, first
		}
		next, rest = rest[0], rest[size:]
		if !first {
			break // what follows is not a header any more
		}
	}
	e.Proto = next
	return rest, first
}

func (e *Event) decodeTransport(b []byte) {
	switch e.Proto {
	case ProtoTCP:
		if len(b) < 14 {
			e.Flags |= FlagTruncated
			return
		}
		e.Info = b[13]
		e.InnerSrcPort = binary.BigEndian.Uint16(b)
		e.InnerDstPort = binary.BigEndian.Uint16(b[2:])
		e.decodeSegment(b)
	case ProtoUDP:
		if len(b) < 4 {
			e.Flags |= FlagTruncated
			return
		}
		e.InnerSrcPort = binary.BigEndian.Uint16(b)
		e.InnerDstPort = binary.BigEndian.Uint16(b[2:])
	case ProtoICMP, ProtoICMPv6:
		if len(b) < 8 {
			e.Flags |= FlagTruncated
			return
		}
		e.Info = b[0]
		if !e.ICMPError() {
			e.InnerSrcPort = binary.BigEndian.Uint16(b[4:])
			e.InnerDstPort = binary.BigEndian.Uint16(b[6:])
			return
		}
		e.InnerSrcPort = uint16(b[1])
		var quoted Event
		if quoted.decodeQuoted(b[8:]) {
			e.setQuoted(&quoted)
		}
		if why := nodeSays(b, e.Proto == ProtoICMPv6); why != ReasonNone {
			e.SetNodeSays(why)
		}
	}
}

// decodeQuoted is DecodeInner for the beginning of a packet that an ICMP error
// quotes. It does not look into a quoted ICMP error.
func (e *Event) decodeQuoted(b []byte) bool {
	l4, first, ok := e.decodeIP(b)
	if !ok {
		return false
	}
	if first && (e.Proto == ProtoTCP || e.Proto == ProtoUDP) && len(l4) >= 4 {
		e.InnerSrcPort = binary.BigEndian.Uint16(l4)
		e.InnerDstPort = binary.BigEndian.Uint16(l4[2:])
	}
	if first && (e.Proto == ProtoICMP || e.Proto == ProtoICMPv6) && len(l4) >= 8 {
		e.Info = l4[0]
		e.InnerSrcPort = binary.BigEndian.Uint16(l4[4:])
		e.InnerDstPort = binary.BigEndian.Uint16(l4[6:])
	}
	return true
}

// Message types of the WireGuard protocol and the lengths of its messages in
// bytes (https://www.wireguard.com/protocol/). They are little-endian 32-bit
// numbers: a type byte followed by three zero bytes.
const (
	TypeInitiation = 1
	TypeResponse   = 2
	TypeCookie     = 3
	TypeData       = 4

	LenInitiation = 148
	LenResponse   = 92
	LenCookie     = 64
	LenKeepalive  = 32 // data without content
	lenDataHeader = 16
)

// DecodeOuter fills the kind, the outer length, the indices and the counter of
// e from the UDP payload b. It returns ReasonNone for a well-formed message,
// and what wireguard-go drops it for otherwise.
func (e *Event) DecodeOuter(b []byte) Reason {
	e.Kind, e.Sender, e.Receiver, e.Counter = KindOther, 0, 0, 0
	e.OuterLen = uint16(min(len(b), 0xffff))
	if len(b) < LenKeepalive {
		return TooShort
	}
	switch binary.LittleEndian.Uint32(b) {
	case TypeData:
		e.Kind = KindData
		if len(b) == LenKeepalive {
			e.Kind = KindKeepalive
		}
		e.Receiver = binary.LittleEndian.Uint32(b[4:])
		e.Counter = binary.LittleEndian.Uint64(b[8:])
		return ReasonNone
	case TypeInitiation:
		e.Kind = KindInitiation
		e.Sender = binary.LittleEndian.Uint32(b[4:])
		return lengthIs(b, LenInitiation)
	case TypeResponse:
		e.Kind = KindResponse
		e.Sender = binary.LittleEndian.Uint32(b[4:])
		e.Receiver = binary.LittleEndian.Uint32(b[8:])
		return lengthIs(b, LenResponse)
	case TypeCookie:
		e.Kind = KindCookie
		e.Receiver = binary.LittleEndian.Uint32(b[4:])
		return lengthIs(b, LenCookie)
	}
	return UnknownType
}

func lengthIs(b []byte, n int) Reason {
	if len(b) != n {
		return BadLength
	}
	return ReasonNone
}
