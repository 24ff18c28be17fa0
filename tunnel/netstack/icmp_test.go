package netstack_test

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// icmpError is what a host on the way says of pkt, in the name of its destination.
func icmpError(pkt []byte, kind, code byte, mtu uint32) []byte {
	src, dst := pkt[12:16], pkt[16:20]
	head, number := 20, byte(1)
	if pkt[0]>>4 == 6 {
		src, dst = pkt[8:24], pkt[24:40]
		head, number = 40, 58
	}
	quote := pkt[:min(len(pkt), 548)]
	b := make([]byte, head+8, head+8+len(quote))
	icmp := append(b[head:], quote...)
	b = b[:len(b)+len(quote)]
	icmp[0], icmp[1] = kind, code
	binary.BigEndian.PutUint32(icmp[4:], mtu)
	if head == 20 {
		b[0], b[8], b[9] = 0x45, 64, number
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		copy(b[12:], dst)
		copy(b[16:], src)
		h := header.IPv4(b)
		h.SetChecksum(^h.CalculateChecksum())
		checksum.Put(icmp[2:], ^checksum.Checksum(icmp, 0))
		return b
	}
	b[0], b[6], b[7] = 0x60, number, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(icmp)))
	copy(b[8:], dst)
	copy(b[24:], src)
	header.ICMPv6(icmp).SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{
		Header: icmp, Src: tcpip.AddrFromSlice(dst), Dst: tcpip.AddrFromSlice(src)}))
	return b
}

// tooBig is what a host says that takes only packets of mtu bytes (RFC 1191, RFC
// 8201).
func tooBig(pkt []byte, mtu uint32) []byte {
	if pkt[0]>>4 == 6 {
		return icmpError(pkt, 2, 0, mtu)
	}
	return icmpError(pkt, 3, 4, mtu)
}
