package ping

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

const icmpHeader = 8 // bytes of an echo, without its content

// complaint reads an ICMP error about an echo request of ours: it quotes the request, with its
// destination, identifier and sequence number.
func complaint(m *icmp.Message, raw []byte, to netip.Addr, id uint16) (a Answer, ok bool) {
	var quoted []byte
	switch b := m.Body.(type) {
	case *icmp.DstUnreach:
		quoted = b.Data
	case *icmp.TimeExceeded:
		quoted = b.Data
	case *icmp.PacketTooBig:
		quoted, a.MTU = b.Data, b.MTU
	default:
		return a, false
	}
	if m.Type == ipv4.ICMPTypeDestinationUnreachable && m.Code == tooBig4 && len(raw) >= icmpHeader {
		a.MTU = int(binary.BigEndian.Uint16(raw[6:])) // RFC 1191, section 4
	}
	dst, echo, ok := quotedEcho(quoted)
	if !ok || dst != to.WithZone("") || binary.BigEndian.Uint16(echo[4:]) != id {
		return a, false
	}
	a.Seq, a.Said = binary.BigEndian.Uint16(echo[6:]), words(m, a.MTU)
	return a, true
}

// quotedEcho is the destination of a packet that an error quotes, and the header of the echo
// request in it.
func quotedEcho(b []byte) (dst netip.Addr, echo []byte, ok bool) {
	const echo4, echo6 = 8, 128
	switch {
	case len(b) >= ipv4.HeaderLen && b[0]>>4 == 4:
		n := int(b[0]&15) * 4
		if n < ipv4.HeaderLen || len(b) < n+icmpHeader || b[9] != icmp4 || b[n] != echo4 {
			return dst, nil, false
		}
		return netip.AddrFrom4([4]byte(b[16:20])), b[n:], true
	case len(b) >= ipv6.HeaderLen+icmpHeader && b[0]>>4 == 6 && b[6] == icmp6 && b[ipv6.HeaderLen] == echo6:
		return netip.AddrFrom16([16]byte(b[24:40])), b[ipv6.HeaderLen:], true
	}
	return dst, nil, false
}

const (
	icmp4, icmp6 = 1, 58 // protocol numbers
	tooBig4      = 4     // code of "fragmentation needed"
)

var (
	unreachable4 = map[int]string{0: "network unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable",
		6: "network unknown", 7: "host unknown", 9: "network prohibited", 10: "host prohibited", 13: "prohibited by a filter"}
	unreachable6 = map[int]string{0: "no route", 1: "prohibited", 3: "address unreachable", 4: "port unreachable",
		5: "source address prohibited", 6: "route rejected"}
)

// words says what an ICMP error says.
func words(m *icmp.Message, mtu int) string {
	if mtu > 0 {
		return fmt.Sprintf("packet too big: %d bytes fit", mtu)
	}
	text, ok := "", false
	switch m.Type {
	case ipv4.ICMPTypeDestinationUnreachable:
		if m.Code == tooBig4 {
			return "packet too big"
		}
		text, ok = unreachable4[m.Code]
	case ipv6.ICMPTypeDestinationUnreachable:
		text, ok = unreachable6[m.Code]
	case ipv4.ICMPTypeTimeExceeded, ipv6.ICMPTypeTimeExceeded:
		return "time to live exceeded"
	}
	if !ok {
		return fmt.Sprintf("unreachable, code %d", m.Code)
	}
	return text
}
