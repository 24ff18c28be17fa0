package probe

import (
	"net/netip"
	"syscall"
)

// What the fields Info, Counter and InnerSrcPort of an Event hold depends on its kind and
// protocol. This file is the one that knows.

// TCP flags, as [Event.TCPFlags] returns them (RFC 9293, section 3.1).
const (
	TCPFin = 1 << iota
	TCPSyn
	TCPRst
	TCPPsh
	TCPAck
)

// Types of ICMP and ICMPv6 messages (IANA icmp-parameters, icmpv6-parameters).
const (
	icmp4EchoReply    = 0
	icmp4Unreachable  = 3
	icmp4SourceQuench = 4
	icmp4Redirect     = 5
	icmp4Echo         = 8
	icmp4TimeExceeded = 11
	icmp4Parameter    = 12

	icmp6Unreachable  = 1
	icmp6TimeExceeded = 3
	icmp6Errors       = 128 // from here on they are no errors
	icmp6Echo         = 128
	icmp6EchoReply    = 129

	icmp4TooBig = 4 // code of "unreachable": fragmentation needed
)

// TCPFlags returns the flags of the inner TCP header, 0 where the event has none.
func (e *Event) TCPFlags() uint8 {
	if e.Proto != ProtoTCP || e.Flags&(FlagFragment|FlagTruncated) != 0 {
		return 0
	}
	return e.Info
}

// ICMP returns type and code of an ICMP or ICMPv6 message, and reports whether the event
// has one: the inner packet, or, of an event of [KindICMP], the error that came outside of
// the tunnel. The code of a message that is not an error is not recorded, and 0.
func (e *Event) ICMP() (typ, code uint8, ok bool) {
	switch {
	case e.Kind == KindICMP:
		return e.Info, uint8(e.Counter), e.Info != 0 // else the kernel raised it without a message
	case e.Proto != ProtoICMP && e.Proto != ProtoICMPv6, e.Flags&(FlagFragment|FlagTruncated) != 0, !e.HasAddrs():
		return 0, 0, false
	case e.ICMPError():
		return e.Info, uint8(e.InnerSrcPort), true
	}
	return e.Info, 0, true
}

// Claimed reports whether an event of [KindICMP] is of an error that anybody could have
// sent: a message that does not quote an index of ours, which only the far end and hosts
// on the path have seen.
func (e *Event) Claimed() bool {
	_, _, message := e.ICMP()
	return message && e.Sender == 0 && e.Receiver == 0
}

// SetICMP records type and code of an ICMP error, where [Event.ICMP] finds them.
func (e *Event) SetICMP(typ, code uint8) {
	e.Info = typ
	if e.Kind == KindICMP {
		e.Counter = uint64(code)
	} else {
		e.InnerSrcPort = uint16(code)
	}
}

// Quoted returns what the inner packet, an ICMP error, quotes of the packet that it is
// about: its protocol, where it came from, and where it was going. Ports are 0 where the
// protocol has none; of an echo they are identifier and sequence number. ok is false if the
// event does not say so, as those of messages do not.
func (e *Event) Quoted() (proto uint8, src, dst netip.AddrPort, ok bool) {
	if e.Flags&FlagQuotes == 0 || e.Kind != KindInner || !e.ICMPError() {
		return 0, src, dst, false
	}
	return uint8(e.Sender), netip.AddrPortFrom(e.InnerDst.Netip(), e.OuterDstPort),
		netip.AddrPortFrom(e.OuterDst.Netip(), e.InnerDstPort), true
}

// setQuoted records what an ICMP error quotes, if it is about a packet of the host that it
// goes to: there is no room for another source, and no host is told of others' packets.
func (e *Event) setQuoted(q *Event) {
	e.InnerDstPort = q.InnerDstPort
	if q.InnerSrc == e.InnerDst {
		e.Quote(q.Proto, q.InnerSrcPort, netip.AddrPortFrom(q.InnerDst.Netip(), q.InnerDstPort))
	}
}

// Quote records of the inner packet, an ICMP error, that it quotes one which the error's
// destination sent: by a protocol, from a port, to dst. See [Event.Quoted].
func (e *Event) Quote(proto uint8, srcPort uint16, dst netip.AddrPort) {
	e.Flags |= FlagQuotes
	e.Sender, e.OuterDst, e.OuterDstPort, e.InnerDstPort = uint32(proto), AddrFrom(dst.Addr()), srcPort, dst.Port()
}

// ICMPError reports whether the inner packet is an ICMP or ICMPv6 error (RFC
// 792, RFC 4443), which is about another packet.
func (e *Event) ICMPError() bool {
	switch e.Proto {
	case ProtoICMP:
		switch e.Info {
		case icmp4Unreachable, icmp4SourceQuench, icmp4Redirect, icmp4TimeExceeded, icmp4Parameter:
			return true
		}
	case ProtoICMPv6:
		return e.Info >= 1 && e.Info < icmp6Errors
	}
	return false
}

// ICMPEcho reports whether the inner packet is an echo request or reply.
func (e *Event) ICMPEcho() (request, reply bool) {
	if e.Flags&(FlagFragment|FlagTruncated) != 0 {
		return false, false // Info is not the type
	}
	switch e.Proto {
	case ProtoICMP:
		return e.Info == icmp4Echo, e.Info == icmp4EchoReply
	case ProtoICMPv6:
		return e.Info == icmp6Echo, e.Info == icmp6EchoReply
	}
	return false, false
}

// Undelivered reports whether the inner packet is an ICMP error which means that a packet
// did not arrive for a reason that repeating it does not change: destination unreachable,
// but for "fragmentation needed", and time exceeded (RFC 792, RFC 4443).
func (e *Event) Undelivered() bool {
	switch typ, code, _ := e.ICMP(); {
	case !e.ICMPError():
		return false
	case e.Proto == ProtoICMPv6:
		return typ == icmp6Unreachable || typ == icmp6TimeExceeded
	default:
		return typ == icmp4Unreachable && code != icmp4TooBig || typ == icmp4TimeExceeded
	}
}

// ICMPReason sorts ICMP errors by what a person would do about them: those that say that
// a destination is unreachable by their code (RFC 792; RFC 1812, section 5.2.7.1; RFC
// 4443, section 3.1). The others, and what is not known, are [ICMPOther].
func ICMPReason(v6 bool, typ, code uint8) Reason {
	switch {
	case v6 && typ == icmp6Unreachable:
		switch code {
		case 0: // no route
			return ICMPNetUnreachable
		case 1, 5, 6: // prohibited; source address failed policy; reject route
			return ICMPProhibited
		case 3: // address
			return ICMPHostUnreachable
		case 4: // port
			return ICMPPortUnreachable
		}
	case !v6 && typ == icmp4Unreachable:
		switch code {
		case 0, 6, 11: // net; net unknown; net, for this type of service
			return ICMPNetUnreachable
		case 1, 7, 8, 12: // host; host unknown; source isolated; host, for this type of service
			return ICMPHostUnreachable
		case 3: // port
			return ICMPPortUnreachable
		case 9, 10, 13: // net, host, communication prohibited
			return ICMPProhibited
		}
	}
	return ICMPOther
}

// Errno returns what the socket refused to send a message with ([SendError]), 0 if it did
// not or gave no number. The event holds Linux's number, whatever this system has.
func (e *Event) Errno() syscall.Errno {
	if e.Reason != SendError {
		return 0
	}
	return errnoOfLinux(e.Info)
}

// SetErrno records what the socket refused to send a message with. One of 256 or more
// has no room, and is not recorded.
func (e *Event) SetErrno(errno syscall.Errno) {
	e.Reason, e.Info = SendError, numberOnLinux(errno)
}

// Opens reports whether the inner packet begins something for certain: a TCP connection,
// or an echo. Of other packets only the flow table knows whether they are the first.
func (e *Event) Opens() bool {
	if request, _ := e.ICMPEcho(); request {
		return true
	}
	return e.TCPFlags()&(TCPSyn|TCPAck) == TCPSyn
}

// maxHeaders4 and maxHeaders6 are the longest headers of IP, without options, and TCP, in
// bytes.
const (
	maxHeaders4 = 20 + 60
	maxHeaders6 = 40 + 60
)

// Asks reports whether the inner packet wants something to come back. A packet of TCP does
// if it opens a connection or has content, rather than acknowledges or ends; one of ICMP
// if it is an echo request; of other protocols every one may.
func (e *Event) Asks() bool {
	switch e.Proto {
	case ProtoTCP:
		return e.Opens() || e.tcpContent()
	case ProtoICMP, ProtoICMPv6:
		return e.Opens()
	}
	return true
}

// tcpContent reports whether a packet of TCP has content as far as the event shows it.
func (e *Event) tcpContent() bool {
	if e.Flags&(FlagFragment|FlagTruncated) != 0 || e.Info&TCPRst != 0 {
		return false
	}
	if s, ok := e.Segment(); ok {
		return s.Content > 0
	}
	headers := uint16(maxHeaders4)
	if !e.InnerSrc.Is4() {
		headers = maxHeaders6
	}
	return e.Info&TCPPsh != 0 || e.InnerLen > headers
}
