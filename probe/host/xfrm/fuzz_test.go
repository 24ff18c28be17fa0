//go:build linux

package xfrm

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// Whatever policies the kernel lists, each is asked about a packet and worded, on one
// line, and one that selects all of a packet's family selects it.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte{10, 0, 0, 0}, []byte{255, 0, 0, 0}, []byte{10, 1, 2, 3}, uint16(80), uint16(0), uint8(6), uint8(1), false)
	f.Add([]byte{}, []byte{}, []byte{192, 0, 2, 1}, uint16(0), uint16(443), uint8(17), uint8(0), true)
	f.Add(make([]byte, 16), make([]byte, 16), make([]byte, 16), uint16(1), uint16(1), uint8(0), uint8(2), true)
	f.Add([]byte{1, 2, 3}, []byte{255}, []byte{1}, uint16(0), uint16(0), uint8(255), uint8(7), false)
	f.Fuzz(func(t *testing.T, prefix, mask, addr []byte, selected, port uint16, proto, dir uint8, block bool) {
		p := netlink.XfrmPolicy{Src: &net.IPNet{IP: prefix, Mask: mask}, SrcPort: int(selected),
			Proto: netlink.Proto(proto), Dir: netlink.Dir(dir)}
		if block {
			p.Action = netlink.XFRM_POLICY_BLOCK
		} else {
			p.Tmpls = []netlink.XfrmPolicyTmpl{{Optional: int(dir & 1)}}
		}
		if len(prefix) == 0 {
			p.Src = nil
		}
		a, _ := netip.AddrFromSlice(addr) // zero if it is none
		pkt := Packet{Src: netip.AddrPortFrom(a, port), Proto: proto}
		if p.Src == nil && (selected == 0 || selected == port) && !selects(&p, &pkt) {
			t.Errorf("a policy for all does not select %+v", pkt)
		}
		if block && !refuses(&p) {
			t.Error("a policy that blocks lets pass")
		}
		told := describe(&p, a)
		if strings.ContainsAny(told.Text+told.Delete, "\n\x1b") {
			t.Errorf("worded as %q, %q", told.Text, told.Delete)
		}
	})
}
