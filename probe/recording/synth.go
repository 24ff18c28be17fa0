package recording

import (
	"encoding/binary"

	"github.com/wgnode/wgnode/probe"
)

// This file makes packets, or their beginnings, from events. What an event does
// not know is not made up: a packet ends before the first such field. So an inner
// TCP header ends after the ports, and the address that a host sent from may be
// the unspecified one.

const (
	ipv4Header = 20
	ipv6Header = 40
	udpHeader  = 8

	protoNoNextHeader = 59 // RFC 8200, section 4.7
	hopLimit          = 64 // the usual one; an event does not know it
)

// appendIP appends an IP header for a packet with so many bytes behind it, in the
// family of the first of the two addresses that has one. It returns the length of
// the header.
func appendIP(dst []byte, src, dst2 *probe.Addr, proto uint8, behind int) ([]byte, int) {
	if src.Is4() || *src == (probe.Addr{}) && dst2.Is4() {
		at := len(dst)
		total := min(ipv4Header+behind, 0xffff)
		dst = append(dst, 0x45, 0, byte(total>>8), byte(total), 0, 0, 0, 0, hopLimit, proto, 0, 0)
		dst = append(append(dst, src[12:]...), dst2[12:]...)
		binary.BigEndian.PutUint16(dst[at+10:], probe.Checksum(dst[at:]))
		return dst, ipv4Header
	}
	behind = min(behind, 0xffff)
	dst = append(dst, 0x60, 0, 0, 0, byte(behind>>8), byte(behind), proto, hopLimit)
	return append(append(dst, src[:]...), dst2[:]...), ipv6Header
}

// appendWire appends a datagram with IP and UDP header and returns the length
// that all of it has. payload is what was captured of it, nil for nothing.
func appendWire(dst []byte, e *probe.Event, payload []byte) ([]byte, int) {
	size := max(int(e.OuterLen), len(payload))
	dst, n := appendIP(dst, &e.OuterSrc, &e.OuterDst, probe.ProtoUDP, udpHeader+size)
	dst = binary.BigEndian.AppendUint16(dst, e.OuterSrcPort)
	dst = binary.BigEndian.AppendUint16(dst, e.OuterDstPort)
	dst = binary.BigEndian.AppendUint16(dst, uint16(min(udpHeader+size, 0xffff)))
	dst = append(dst, 0, 0)
	if payload != nil {
		dst = append(dst, payload...)
	} else {
		dst = appendMessage(dst, e)
	}
	return dst, n + udpHeader + size
}

// appendMessage appends the beginning of a WireGuard message, as far as the event
// knows it. Of a data message that is the header but for its last byte, the highest
// of the counter: Wireshark takes one that ends with its header for malformed.
func appendMessage(dst []byte, e *probe.Event) []byte {
	le := binary.LittleEndian
	switch e.Kind {
	case probe.KindInitiation:
		return le.AppendUint32(le.AppendUint32(dst, probe.TypeInitiation), e.Sender)
	case probe.KindResponse:
		return le.AppendUint32(le.AppendUint32(le.AppendUint32(dst, probe.TypeResponse), e.Sender), e.Receiver)
	case probe.KindCookie:
		return le.AppendUint32(le.AppendUint32(dst, probe.TypeCookie), e.Receiver)
	case probe.KindData, probe.KindKeepalive:
		dst = le.AppendUint64(le.AppendUint32(le.AppendUint32(dst, probe.TypeData), e.Receiver), e.Counter)
		return dst[:len(dst)-1]
	}
	return dst
}

// appendInside appends the beginning of an inner packet that was not captured, and
// returns the length that all of it has.
func appendInside(dst []byte, e *probe.Event) ([]byte, int) {
	size := int(e.InnerLen)
	if e.InnerSrc == (probe.Addr{}) && e.InnerDst == (probe.Addr{}) || !e.HasAddrs() {
		return dst, size // no IP packet
	}
	header := ipv6Header
	if e.InnerSrc.Is4() {
		header = ipv4Header
	}
	dst, _ = appendIP(dst, &e.InnerSrc, &e.InnerDst, e.Proto, max(size-header, 0))
	size = max(size, header)
	if e.Flags&(probe.FlagFragment|probe.FlagTruncated) != 0 {
		return dst, size
	}
	switch {
	case (e.Proto == probe.ProtoTCP || e.Proto == probe.ProtoUDP) && size >= header+4:
		dst = binary.BigEndian.AppendUint16(dst, e.InnerSrcPort)
		dst = binary.BigEndian.AppendUint16(dst, e.InnerDstPort)
	case (e.Proto == probe.ProtoICMP || e.Proto == probe.ProtoICMPv6) && size >= header+2:
		typ, code, _ := e.ICMP()
		dst = append(dst, typ, code)
	}
	return dst, size
}

// appendNote appends the form of a note: an IPv6 packet without content between
// the outer addresses, IPv4 ones mapped (RFC 4291, section 2.5.5.2).
func appendNote(dst []byte, e *probe.Event) []byte {
	dst = append(dst, 0x60, 0, 0, 0, 0, 0, protoNoNextHeader, hopLimit)
	return append(append(dst, e.OuterSrc[:]...), e.OuterDst[:]...)
}
