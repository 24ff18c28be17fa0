package probe

import "testing"

// A node's reason is read from its ICMP error, whatever it quotes and whether or not it is
// the first to add something, and from no other's.
func TestNodeSays(t *testing.T) {
	short4, short6 := packet4(here4, there4, ProtoUDP, 0, 0, 53, 0, 53, 0, 8, 0, 0), packet6(here6, there6, ProtoUDP, 0, 53, 0, 53, 0, 8, 0, 0)
	long4, long6 := append(short4[:28:28], make([]byte, 1400)...), append(short6[:48:48], make([]byte, 1400)...)
	for _, c := range []struct {
		name   string
		packet []byte
		v6     bool
		spoil  func(message []byte) []byte
		want   Reason
	}{
		{name: "short", packet: short4, want: NoEndpoint},
		{name: "long", packet: long4, want: NoEndpoint},
		{name: "short, IPv6", packet: short6, v6: true, want: NoEndpoint},
		{name: "long, IPv6", packet: long6, v6: true, want: NoEndpoint},
		{name: "cut off", packet: long4, spoil: func(m []byte) []byte { return m[:len(m)-1] }},
		{name: "another class", packet: short4, spoil: func(m []byte) []byte { m[len(m)-6] = 1; return m }},
		{name: "wrong checksum", packet: short4, spoil: func(m []byte) []byte { m[len(m)-1]++; return m }},
		{name: "no length", packet: short4, spoil: func(m []byte) []byte { m[5] = 0; return m }},
		{name: "another type", packet: short4, spoil: func(m []byte) []byte { m[0] = 11; return m }},
	} {
		src, dst, proto, make := there4, here4, byte(ProtoICMP), packet4
		head, limit := []byte{3, 1, 0, 0, 0, 0, 0, 0}, 536
		if c.v6 {
			src, dst, proto, head, limit = there6, here6, ProtoICMPv6, []byte{1, 3, 0, 0, 0, 0, 0, 0}, 1220
			make = func(src, dst string, proto byte, _ int, l4 ...byte) []byte { return packet6(src, dst, proto, l4...) }
		}
		m := AppendNodeSays(head, c.packet, c.v6, NoEndpoint, limit)
		if c.spoil != nil {
			m = c.spoil(m)
		}
		e := Event{Kind: KindInner}
		e.DecodeInner(make(src, dst, proto, 0, m...))
		why, ok := e.NodeSays()
		if why != c.want || ok != (c.want != ReasonNone) {
			t.Errorf("%s: %v %v", c.name, why, ok)
		}
		quoted, from, to, ok := e.Quoted()
		if !ok || quoted != ProtoUDP || from.Addr().String() != dst || from.Port() != 53 || to.Addr().String() != src || to.Port() != 53 {
			t.Errorf("%s: quotes %d %s > %s, %v", c.name, quoted, from, to, ok)
		}
	}
}
