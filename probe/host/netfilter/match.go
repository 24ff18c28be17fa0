package netfilter

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe"
)

// Match selects the packets to trace: those of one direction of a flow, as they
// are before any translation. For the replies to a flow that is translated here
// the source to give is the one that they come with.
type Match struct {
	// Src and Dst are where packets come from and go to. The zero Prefix is
	// any address; at least one must be given, and they say the family.
	Src, Dst netip.Prefix
	// Proto is the IP protocol; 0 is any.
	Proto uint8
	// SrcPort and DstPort are ports of TCP, UDP or the like; 0 is any.
	SrcPort, DstPort uint16
	// ICMPType and ICMPID are those of ICMP or ICMPv6 echo; nil is any.
	ICMPType *uint8
	ICMPID   *uint16
	// Payload is the length of the payload of a UDP datagram in bytes, by
	// which kinds of encrypted packets are told apart; 0 is any.
	Payload uint16
	// Opening selects segments of TCP with SYN alone: what opens a connection, and the
	// answer to it.
	Opening bool
	// Mark is the firewall mark; nil is any. Forwarded packets have it only if
	// something at the very front gave it to them.
	Mark *uint32
	// In and Out are the interface that the packet came in on, or leaves by
	// according to the first look at the routes; "" is any. A Match with In is
	// for packets that come in, one with Out for those that start here.
	In, Out string
	// Quoted selects, instead of the packets themselves, ICMP errors about
	// them. These have other sources than Dst, but go to Src.
	Quoted bool
	// Rate is how many packets a second are traced at most; 0 is all. Without
	// it a busy flow costs throughput, and loses events.
	Rate uint32
}

// To selects what is sent to an address by a protocol: to its port, or without one
// echo requests.
func To(dst netip.AddrPort, proto uint8) Match {
	m := Match{Dst: netip.PrefixFrom(dst.Addr(), dst.Addr().BitLen()), Proto: proto, DstPort: dst.Port()}
	switch proto {
	case probe.ProtoICMP:
		m.ICMPType = new(uint8(icmpEcho))
	case probe.ProtoICMPv6:
		m.ICMPType = new(uint8(icmp6Echo))
	}
	return m
}

// Reverse returns the match for the opposite direction, where nothing is
// translated.
func (m Match) Reverse() Match {
	m.Src, m.Dst = m.Dst, m.Src
	m.SrcPort, m.DstPort = m.DstPort, m.SrcPort
	m.In, m.Out = m.Out, m.In
	m.Mark = nil // it belongs to packets of this host, not to their answers
	if m.ICMPType != nil {
		switch *m.ICMPType {
		case icmpEcho:
			m.ICMPType = new(uint8(icmpEchoReply))
		case icmpEchoReply:
			m.ICMPType = new(uint8(icmpEcho))
		case icmp6Echo:
			m.ICMPType = new(uint8(icmp6EchoReply))
		case icmp6EchoReply:
			m.ICMPType = new(uint8(icmp6Echo))
		}
	}
	return m
}

// ICMP types of echo (RFC 792, RFC 4443).
const (
	icmpEchoReply  = 0
	icmpEcho       = 8
	icmp6Echo      = 128
	icmp6EchoReply = 129
)
