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
	if !ok || len(quote) < ipv4Header || !r.limit.Allow() {
		return
	}
	var src, dst netip.Addr
	head := []byte{unreachable4, code.four, 0, 0, 0, 0, 0, 0}
	if quote[0]>>4 == 4 {
		src, dst = netip.AddrFrom4([4]byte(quote[12:16])), netip.AddrFrom4([4]byte(quote[16:20]))
	} else if len(quote) >= ipv6Header {
		src, dst = netip.AddrFrom16([16]byte(quote[8:24])), netip.AddrFrom16([16]byte(quote[24:40]))
		head[0], head[1] = unreachable6, code.six
	} else {
		return
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

// foreign reports whether a packet is for a host that is not this one and may be
// beyond it, and what flow it begins, whom an error about it would reach.
func (d *device) foreign(b []byte) bool {
	var dst netip.Addr
	switch {
	case b[0]>>4 == 4 && len(b) >= ipv4Header:
		dst = netip.AddrFrom4([4]byte(b[16:20]))
	case b[0]>>4 == 6 && len(b) >= ipv6Header:
		dst = netip.AddrFrom16([16]byte(b[24:40]))
	default:
		return false
	}
	_, own := d.addrs[dst]
	return !own && Routable(dst)
}

// Routable reports whether an address is one that packets may be passed on to: one
// host's, and not only on one link or on this host. IPv4 addresses in IPv6 notation
// are not: a socket would take them for what they stand for.
func Routable(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && !a.IsLinkLocalUnicast() &&
		!a.Is4In6() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255}) && !(a.Is4() && a.As4()[0] == 0)
}
