package refuse

import (
	"bytes"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
)

// An answer that a host would take: from the destination, about the packet, and with
// checksums that hold.
func TestUnreachable(t *testing.T) {
	packet4 := append([]byte{0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}, 0, 5, 0, 6, 0, 9, 0, 0, 7)
	packet6 := append([]byte{0x60, 0, 0, 0, 0, 9, 17, 64}, bytes.Repeat([]byte{0xfd}, 32)...)
	packet6 = append(packet6, 0, 5, 0, 6, 0, 9, 0, 0, 7)
	packet6[39] = 2
	for _, test := range []struct {
		name      string
		packet    []byte
		typ, code uint8
	}{
		{name: "IPv4", packet: packet4, typ: 3, code: 1},
		{name: "IPv6, of odd length", packet: packet6, typ: 1, code: 3},
	} {
		src, dst := ends(test.packet)
		answer := Outside(dst, src, unreachable(test.packet, probe.NoAllowedIPsMatch))[tag.Headroom:]
		var asked, e probe.Event
		if !asked.DecodeInner(test.packet) || !e.DecodeInner(answer) {
			t.Fatalf("%s: not decoded: %x", test.name, answer)
		}
		if typ, code, ok := e.ICMP(); !ok || typ != test.typ || code != test.code ||
			e.InnerSrc != asked.InnerDst || e.InnerDst != asked.InnerSrc ||
			e.InnerDstPort != asked.InnerDstPort || !bytes.Contains(answer, test.packet) {
			t.Errorf("%s: answered %+v", test.name, e)
		}
		icmp := answer[40:]
		if e.InnerSrc.Is4() {
			icmp = answer[20:]
		}
		var sums []uint16
		if e.InnerSrc.Is4() {
			sums = []uint16{probe.Checksum(answer[:20]), probe.Checksum(icmp)}
		} else {
			pseudo := []byte{0, 0, byte(len(icmp) >> 8), byte(len(icmp)), 0, 0, 0, probe.ProtoICMPv6}
			sums = []uint16{probe.Checksum(answer[8:24], answer[24:40], pseudo, icmp)}
		}
		for _, sum := range sums {
			if sum != 0 {
				t.Errorf("%s: the checksum is wrong by %#04x in %x", test.name, sum, answer)
			}
		}
	}
}
