package probe

import (
	"net/netip"
	"syscall"
	"testing"
)

func TestOpensAndAsks(t *testing.T) {
	v4, v6 := AddrFrom(netip.MustParseAddr("10.0.0.1")), AddrFrom(netip.MustParseAddr("fd0a::1"))
	tcp := func(flags uint8, length uint16) Event {
		return Event{Kind: KindInner, Proto: ProtoTCP, InnerSrc: v4, InnerDst: v4, Info: flags, InnerLen: length}
	}
	icmp := func(proto, typ uint8) Event {
		return Event{Kind: KindInner, Proto: proto, InnerSrc: v4, InnerDst: v4, Info: typ, InnerLen: 84}
	}
	fragment := tcp(TCPSyn, 1500)
	fragment.Flags = FlagFragment
	long6 := tcp(TCPAck, 100)
	long6.InnerSrc = v6
	for _, test := range []struct {
		name        string
		e           Event
		opens, asks bool
	}{
		{name: "SYN", e: tcp(TCPSyn, 60), opens: true, asks: true},
		{name: "SYN and ACK", e: tcp(TCPSyn|TCPAck, 60)},
		{name: "acknowledgement", e: tcp(TCPAck, 80)},
		{name: "content without PSH", e: tcp(TCPAck, 81), asks: true},
		{name: "acknowledgement by IPv6", e: long6},
		{name: "content", e: tcp(TCPAck|TCPPsh, 53), asks: true},
		{name: "end", e: tcp(TCPAck|TCPFin, 52)},
		{name: "end with content", e: tcp(TCPAck|TCPFin|TCPPsh, 60), asks: true},
		{name: "reset", e: tcp(TCPRst|TCPAck, 1500)},
		{name: "fragment", e: fragment},
		{name: "echo request", e: icmp(ProtoICMP, 8), opens: true, asks: true},
		{name: "echo reply", e: icmp(ProtoICMP, 0)},
		{name: "echo request of ICMPv6", e: icmp(ProtoICMPv6, 128), opens: true, asks: true},
		{name: "ICMP error", e: icmp(ProtoICMP, 3)},
		{name: "datagram", e: Event{Kind: KindInner, Proto: ProtoUDP, InnerLen: 28}, asks: true},
	} {
		if opens, asks := test.e.Opens(), test.e.Asks(); opens != test.opens || asks != test.asks {
			t.Errorf("%s: opens %v, asks %v, want %v and %v", test.name, opens, asks, test.opens, test.asks)
		}
	}
}

func TestICMP(t *testing.T) {
	inner := func(proto, typ uint8, code uint16) Event {
		return Event{Kind: KindInner, Proto: proto, Info: typ, InnerSrcPort: code}
	}
	for _, test := range []struct {
		name        string
		e           Event
		typ, code   uint8
		ok          bool
		undelivered bool
		reason      Reason
	}{
		{name: "port unreachable", e: inner(ProtoICMP, 3, 3), typ: 3, code: 3, ok: true, undelivered: true, reason: ICMPPortUnreachable},
		{name: "fragmentation needed", e: inner(ProtoICMP, 3, 4), typ: 3, code: 4, ok: true, reason: ICMPOther},
		{name: "prohibited", e: inner(ProtoICMP, 3, 13), typ: 3, code: 13, ok: true, undelivered: true, reason: ICMPProhibited},
		{name: "time exceeded", e: inner(ProtoICMP, 11, 0), typ: 11, ok: true, undelivered: true, reason: ICMPOther},
		{name: "redirect", e: inner(ProtoICMP, 5, 1), typ: 5, code: 1, ok: true, reason: ICMPOther},
		{name: "no route", e: inner(ProtoICMPv6, 1, 0), typ: 1, ok: true, undelivered: true, reason: ICMPNetUnreachable},
		{name: "packet too big", e: inner(ProtoICMPv6, 2, 0), typ: 2, ok: true, reason: ICMPOther},
		{name: "echo, whose identifier is not a code", e: inner(ProtoICMP, 8, 77), typ: 8, ok: true, reason: ICMPOther},
		{name: "outside of the tunnel", e: Event{Kind: KindICMP, Info: 3, Counter: 1}, typ: 3, code: 1, ok: true, reason: ICMPHostUnreachable},
		{name: "raised by the kernel", e: Event{Kind: KindICMP}, reason: ICMPOther},
		{name: "TCP", e: inner(ProtoTCP, TCPSyn, 80), reason: ICMPOther},
	} {
		typ, code, ok := test.e.ICMP()
		if typ != test.typ || code != test.code || ok != test.ok || test.e.Undelivered() != test.undelivered {
			t.Errorf("%s: type %d, code %d, %v, undelivered %v", test.name, typ, code, ok, test.e.Undelivered())
		}
		if got := ICMPReason(test.e.Proto == ProtoICMPv6, typ, code); got != test.reason {
			t.Errorf("%s: %v, want %v", test.name, got, test.reason)
		}
	}
}

func TestErrno(t *testing.T) {
	var refused Event
	refused.SetErrno(1)
	other := Event{Kind: KindInner, Proto: ProtoTCP, Info: TCPSyn}
	if refused.Reason != SendError || refused.Errno() != syscall.Errno(1) || other.Errno() != 0 {
		t.Errorf("%v and %v, want EPERM and none", refused.Errno(), other.Errno())
	}
}
