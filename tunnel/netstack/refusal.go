package netstack

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"syscall"

	"golang.org/x/time/rate"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
)

const (
	// As for what cannot be sent into a tunnel, see the refuser of package tunnel.
	icmpPerSecond = 100
	icmpBurst     = 50
)

// refusals sends ICMP errors to peers, and no more of them than is good.
type refusals struct {
	limit *rate.Limiter
	addrs []netip.Addr // who says it
}

func newRefusals(addrs []netip.Addr) *refusals {
	return &refusals{rate.NewLimiter(icmpPerSecond, icmpBurst), slices.Clone(addrs)}
}

// codes are the types and codes of "destination unreachable" (RFC 792, RFC 1812
// 5.2.7.1; RFC 4443 3.1).
var codes = map[syscall.Errno]struct{ four, six byte }{
	syscall.ENETUNREACH:  {0, 0},
	syscall.EHOSTUNREACH: {1, 3},
	syscall.ECONNREFUSED: {3, 4},
	syscall.EACCES:       {13, 1},
	syscall.EPERM:        {13, 1},
}

const unreachable4, unreachable6 = 3, 1

// say sends an ICMP error about the packet that quote is the headers of, if there is
// one for why. It comes from the node, as from any router; that nobody listens the
// destination says itself.
func (r *refusals) say(s *stack.Stack, quote []byte, why syscall.Errno) {
	code, ok := codes[why]
	if !ok || len(quote) == 0 || !r.limit.Allow() {
		return
	}
	src, dst, ok := ends(quote)
	if !ok {
		return
	}
	head := []byte{unreachable4, code.four, 0, 0, 0, 0, 0, 0}
	if src.Is6() {
		head[0], head[1] = unreachable6, code.six
	}
	from := dst
	if i := slices.IndexFunc(r.addrs, func(a netip.Addr) bool { return a.Is4() == src.Is4() }); i >= 0 && why != syscall.ECONNREFUSED {
		from = r.addrs[i]
	}
	sendICMP(s, from, src, append(head, quote...))
}

// sendICMP sends a message of ICMP, without its checksum.
func sendICMP(s *stack.Stack, from, to netip.Addr, message []byte) {
	src, dst := tcpip.AddrFromSlice(from.AsSlice()), tcpip.AddrFromSlice(to.AsSlice())
	network, transport := header.IPv4ProtocolNumber, icmp.ProtocolNumber4
	if to.Is6() {
		network, transport = header.IPv6ProtocolNumber, icmp.ProtocolNumber6
		header.ICMPv6(message).SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{Header: message, Src: src, Dst: dst}))
	} else {
		binary.BigEndian.PutUint16(message[2:], ^checksum.Checksum(message, 0))
	}
	r, err := s.FindRoute(nic, src, dst, network, false)
	if err != nil {
		return // the stack has ended
	}
	defer r.Release()
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: int(r.MaxHeaderLength()),
		Payload: buffer.MakeWithData(message)})
	defer pkt.DecRef()
	pkt.TransportProtocolNumber = transport
	// Not delivered is no worse than not sent: as ICMP always is.
	_ = r.WritePacket(stack.NetworkHeaderParams{Protocol: transport, TTL: r.DefaultTTL()}, pkt)
}

// ends returns source and destination of a packet, and whether it is one.
func ends(b []byte) (src, dst netip.Addr, ok bool) {
	switch {
	case b[0]>>4 == 4 && len(b) >= ipv4Header:
		return netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), true
	case b[0]>>4 == 6 && len(b) >= ipv6Header:
		return netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), true
	}
	return src, dst, false
}

// Routable reports whether an address is one that packets may be passed on to: one
// host's, and not only on one link or on this host. IPv4 addresses in IPv6 notation
// are not: a socket would take them for what they stand for.
func Routable(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && !a.IsLinkLocalUnicast() &&
		!a.Is4In6() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255}) && !(a.Is4() && a.As4()[0] == 0)
}
