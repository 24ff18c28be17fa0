package probe

import (
	"encoding/binary"
	"fmt"
	"testing"
)

const (
	here4, there4 = "10.0.0.1", "10.0.0.2"
	here6, there6 = "fd00::1", "fd00::2"
)

func TestDecodeInner(t *testing.T) {
	tcp, udp := tcpHeader(40000, 443, TCPSyn), udpHeader(5353, 53)
	quote4 := packet4(there4, here4, ProtoUDP, 0, udp...)
	quote6 := packet6(there6, here6, ProtoTCP, tcp...)
	for _, c := range []struct {
		name string
		b    []byte
		want string // proto ports info flags
		v6   bool
	}{
		{name: "tcp", b: packet4(here4, there4, ProtoTCP, 0, tcp...), want: "6 40000>443 info 2 flags more"},
		{name: "udp", b: packet4(here4, there4, ProtoUDP, 0, udp...), want: "17 5353>53 info 0 flags 0"},
		{name: "options", b: packet4(here4, there4, ProtoTCP, 10, tcp...), want: "6 40000>443 info 2 flags more"},
		{name: "header longer than the packet", b: packet4(here4, there4, ProtoTCP, 0)[:20:20], want: "6 0>0 info 0 flags truncated"},
		{name: "header length too small", b: func() []byte { b := packet4(here4, there4, ProtoUDP, 0, udp...); b[0] = 0x44; return b }(),
			want: "17 0>0 info 0 flags truncated"},
		{name: "options cut off", b: func() []byte { b := packet4(here4, there4, ProtoUDP, 0); b[0] = 0x4f; return b }(),
			want: "17 0>0 info 0 flags truncated"},
		{name: "tcp cut off", b: packet4(here4, there4, ProtoTCP, 0, tcp[:13]...), want: "6 0>0 info 0 flags truncated"},
		{name: "udp cut off", b: packet4(here4, there4, ProtoUDP, 0, udp[:3]...), want: "17 0>0 info 0 flags truncated"},
		{name: "first fragment", b: fragment4(packet4(here4, there4, ProtoUDP, 0, udp...), 0, true, 7), want: "17 5353>53 info 0 flags 0"},
		{name: "later fragment", b: fragment4(packet4(here4, there4, ProtoUDP, 0, udp...), 185, false, 7), want: "17 0>0 info 0 flags fragment"},
		{name: "echo", b: packet4(here4, there4, ProtoICMP, 0, icmpHeader(8, 0, 77, 3)...), want: "1 77>3 info 8 flags 0"},
		{name: "unreachable", b: packet4(here4, there4, ProtoICMP, 0, icmpHeader(3, 1, 0, 0, quote4...)...), want: "1 1>53 info 3 flags more"},
		{name: "unreachable, no quote", b: packet4(here4, there4, ProtoICMP, 0, icmpHeader(3, 1, 0, 0)...), want: "1 1>0 info 3 flags 0"},
		{name: "icmp cut off", b: packet4(here4, there4, ProtoICMP, 0, 8, 0, 0), want: "1 0>0 info 0 flags truncated"},
		{name: "other protocol", b: packet4(here4, there4, 47, 0, 1, 2, 3), want: "47 0>0 info 0 flags 0"},
		{name: "tcp6", b: packet6(here6, there6, ProtoTCP, tcp...), want: "6 40000>443 info 2 flags more", v6: true},
		{name: "hop by hop, destination", b: packet6(here6, there6, protoHopByHop,
			concat(extension(protoDestOpts, 1), extension(ProtoUDP, 0), udp)...), want: "17 5353>53 info 0 flags 0", v6: true},
		{name: "routing", b: packet6(here6, there6, protoRouting, concat(extension(ProtoUDP, 2), udp)...),
			want: "17 5353>53 info 0 flags 0", v6: true},
		{name: "authentication header", b: packet6(here6, there6, protoAH,
			concat([]byte{ProtoUDP, 4}, make([]byte, 22), udp)...), want: "17 5353>53 info 0 flags 0", v6: true},
		{name: "first fragment 6", b: packet6(here6, there6, protoFragment, concat(fragment6(ProtoUDP, 0, true, 9), udp)...),
			want: "17 5353>53 info 0 flags 0", v6: true},
		{name: "later fragment 6", b: packet6(here6, there6, protoFragment, concat(fragment6(ProtoUDP, 180, false, 9), udp)...),
			want: "17 0>0 info 0 flags fragment", v6: true},
		{name: "extension cut off", b: packet6(here6, there6, protoHopByHop, extension(ProtoUDP, 3)[:16]...),
			want: "0 0>0 info 0 flags truncated", v6: true},
		{name: "echo 6", b: packet6(here6, there6, ProtoICMPv6, icmpHeader(129, 0, 77, 3)...), want: "58 77>3 info 129 flags 0", v6: true},
		{name: "packet too big", b: packet6(here6, there6, ProtoICMPv6, icmpHeader(2, 0, 0, 1280, quote6...)...),
			want: "58 0>443 info 2 flags more", v6: true},
	} {
		var e Event
		if !e.DecodeInner(c.b) {
			t.Errorf("%s: taken for no IP packet", c.name)
			continue
		}
		src, dst := here4, there4
		if c.v6 {
			src, dst = here6, there6
		}
		flags := map[Flags]string{0: "0", FlagTruncated: "truncated", FlagFragment: "fragment", FlagQuotes: "more"}[e.Flags]
		got := fmt.Sprintf("%d %d>%d info %d flags %s", e.Proto, e.InnerSrcPort, e.InnerDstPort, e.Info, flags)
		if got != c.want || e.InnerSrc.Netip().String() != src || e.InnerDst.Netip().String() != dst || int(e.InnerLen) != len(c.b) {
			t.Errorf("%s: %v > %v, %d bytes: %s, want %s", c.name, e.InnerSrc.Netip(), e.InnerDst.Netip(), e.InnerLen, got, c.want)
		}
	}
}

func TestDecodeInnerNotIP(t *testing.T) {
	for _, b := range [][]byte{nil, {0x45}, make([]byte, 60), packet4(here4, there4, 6, 0)[:19],
		packet6(here6, there6, 6)[:39], {0x50, 59: 0}} {
		e := Event{InnerSrcPort: 1, Proto: 6, Flags: FlagFragment}
		if e.DecodeInner(b) {
			t.Errorf("%x: taken for an IP packet", b)
		}
		if e.InnerSrcPort != 0 || e.Proto != 0 || e.Flags != 0 || e.InnerSrc != (Addr{}) {
			t.Errorf("%x: left %+v", b, e)
		}
	}
}

// message is a WireGuard message of type typ and n bytes.
func message(typ byte, n int) []byte {
	b := make([]byte, n)
	b[0] = typ
	for i := 4; i < n; i++ {
		b[i] = byte(i)
	}
	return b
}

func TestDecodeOuter(t *testing.T) {
	const at4, at8 = 0x07060504, 0x0b0a0908
	for _, c := range []struct {
		b                []byte
		kind             Kind
		reason           Reason
		sender, receiver uint32
		counter          uint64
	}{
		{b: message(TypeInitiation, 148), kind: KindInitiation, reason: ReasonNone, sender: at4},
		{b: message(TypeInitiation, 147), kind: KindInitiation, reason: BadLength, sender: at4},
		{b: message(TypeInitiation, 149), kind: KindInitiation, reason: BadLength, sender: at4},
		{b: message(TypeResponse, 92), kind: KindResponse, reason: ReasonNone, sender: at4, receiver: at8},
		{b: message(TypeResponse, 91), kind: KindResponse, reason: BadLength, sender: at4, receiver: at8},
		{b: message(TypeCookie, 64), kind: KindCookie, reason: ReasonNone, receiver: at4},
		{b: message(TypeCookie, 65), kind: KindCookie, reason: BadLength, receiver: at4},
		{b: message(TypeData, 32), kind: KindKeepalive, reason: ReasonNone, receiver: at4, counter: 0x0f0e0d0c_0b0a0908},
		{b: message(TypeData, 1452), kind: KindData, reason: ReasonNone, receiver: at4, counter: 0x0f0e0d0c_0b0a0908},
		{b: message(TypeData, 31), kind: KindOther, reason: TooShort},
		{b: nil, kind: KindOther, reason: TooShort},
		{b: message(5, 40), kind: KindOther, reason: UnknownType},
		{b: append([]byte{4, 0, 0, 1}, make([]byte, 40)...), kind: KindOther, reason: UnknownType}, // reserved bytes are part of the type
	} {
		e := Event{Sender: 1, Receiver: 1, Counter: 1}
		r := e.DecodeOuter(c.b)
		if e.Kind != c.kind || r != c.reason || e.Sender != c.sender || e.Receiver != c.receiver ||
			e.Counter != c.counter || int(e.OuterLen) != len(c.b) {
			t.Errorf("type %x of %d bytes: %v, reason %v, sender %#x, receiver %#x, counter %#x", c.b[:min(len(c.b), 4)], len(c.b),
				e.Kind, r, e.Sender, e.Receiver, e.Counter)
		}
	}
}

func TestDecodingDoesNotAllocate(t *testing.T) {
	inner := packet6(here6, there6, ProtoICMPv6, icmpHeader(1, 3, 0, 0, packet6(there6, here6, ProtoUDP, udpHeader(1, 2)...)...)...)
	outer := message(TypeData, 1452)
	f := NewFlows(64)
	var e Event
	if n := testing.AllocsPerRun(100, func() {
		e.DecodeInner(inner)
		k, quoted := f.Key(&e, inner)
		f.Here(k, &e, true, quoted, 1e18)
		e.DecodeOuter(outer)
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// What decodes must do so without reading beyond the packet, and again in the
// same way.
func FuzzDecodeInner(f *testing.F) {
	f.Add(packet4(here4, there4, ProtoTCP, 2, tcpHeader(1, 2, 3)...))
	f.Add(fragment4(packet4(here4, there4, ProtoUDP, 0, udpHeader(1, 2)...), 9, true, 4))
	f.Add(packet4(here4, there4, ProtoICMP, 0, icmpHeader(3, 1, 0, 0, packet4(there4, here4, ProtoUDP, 0, udpHeader(1, 2)...)...)...))
	f.Add(packet6(here6, there6, protoHopByHop, concat(extension(protoFragment, 1), fragment6(protoAH, 0, true, 9),
		[]byte{17, 4}, make([]byte, 22), udpHeader(1, 2))...))
	f.Add(packet6(here6, there6, ProtoICMPv6, icmpHeader(2, 0, 0, 0, packet6(there6, here6, ProtoTCP, tcpHeader(1, 2, 3)...)...)...))
	flows := NewFlows(64)
	f.Fuzz(func(t *testing.T, b []byte) {
		var e, again Event
		ok := e.DecodeInner(b[:len(b):len(b)])
		longer := append(append([]byte(nil), b...), 0xaa, 0x55, 0xaa, 0x55)
		if ok2 := again.DecodeInner(longer[:len(b)]); ok2 != ok || again != e {
			t.Errorf("depends on what is behind the packet:\n%+v\n%+v", e, again)
		}
		if again.DecodeInner(b); again != e {
			t.Errorf("decoded twice:\n%+v\n%+v", e, again)
		}
		if ok {
			k, quoted := flows.Key(&e, b[:len(b):len(b)])
			flows.Here(k, &e, true, quoted, 1e18)
		}
	})
}

func FuzzDecodeOuter(f *testing.F) {
	for typ, n := range map[byte]int{TypeInitiation: LenInitiation, TypeResponse: LenResponse, TypeCookie: LenCookie,
		TypeData: LenKeepalive, 9: 40} {
		f.Add(message(typ, n))
		f.Add(message(typ, n-1))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e, again Event
		r := e.DecodeOuter(b[:len(b):len(b)])
		if r2 := again.DecodeOuter(b); r2 != r || again != e {
			t.Errorf("decoded twice:\n%+v %v\n%+v %v", e, r, again, r2)
		}
		if r == ReasonNone && (len(b) < LenKeepalive || binary.LittleEndian.Uint32(b) > TypeData) {
			t.Errorf("%x passed", b)
		}
	})
}
