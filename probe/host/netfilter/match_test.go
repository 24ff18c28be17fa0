//go:build linux

package netfilter_test

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// Each field of a match must select what it says, and nothing else.
func TestMatchSelects(t *testing.T) {
	n := newNetwork(t)
	udp4 := flow{"udp", n.a, "10.0.1.2:4000", "10.0.2.2:53"}
	udp6 := flow{"udp", n.a, "[fd00:1::2]:4000", "[fd00:2::2]:53"}
	tcp4 := flow{"tcp", n.a, "10.0.1.2:4000", "10.0.2.2:53"}
	port := flow{"udp", n.a, "10.0.1.2:4000", "10.0.2.2:54"}
	source := flow{"udp", n.a, "10.0.1.2:4001", "10.0.2.2:53"}
	local := flow{"udp", n.r, "10.0.2.1:4000", "10.0.2.2:53"}
	echo6 := flow{"icmp", n.a, "fd00:1::2", "fd00:2::2"}
	here := flow{"icmp", n.a, "10.0.1.2", "10.0.1.1"}
	// What leaves R has the mark of the encrypted packets of a full tunnel.
	const mark = 51820
	n.r.Run("ip", "addr", "add", "10.0.2.9/24", "dev", "b")
	marked := flow{"udp", n.r, "10.0.2.9:4000", "10.0.2.2:53"}
	prefix := netip.MustParsePrefix
	for _, tt := range []struct {
		name       string
		match      netfilter.Match
		fits, none flow
	}{
		{"source", netfilter.Match{Src: prefix("10.0.1.2/32")}, udp4, local},
		{"source prefix", netfilter.Match{Src: prefix("10.0.1.2/25")}, udp4, local},
		{"odd prefix", netfilter.Match{Src: prefix("fd00:1::/30"), Dst: prefix("fd00:2::/47")}, udp6, udp4},
		{"any of a family", netfilter.Match{Src: prefix("10.0.0.0/8"), Dst: prefix("0.0.0.0/0")}, udp4, udp6},
		{"destination", netfilter.Match{Dst: prefix("10.0.2.2/32")}, udp4, here},
		{"protocol", netfilter.Match{Dst: prefix("10.0.2.2/32"), Proto: unix.IPPROTO_TCP}, tcp4, udp4},
		{"destination port", netfilter.Match{Dst: prefix("10.0.2.2/32"), Proto: unix.IPPROTO_UDP, DstPort: 53}, udp4, port},
		{"source port", netfilter.Match{Dst: prefix("10.0.2.2/32"), Proto: unix.IPPROTO_UDP, SrcPort: 4000}, udp4, source},
		{"echo", netfilter.Match{Dst: prefix("fd00:2::/64"), Proto: unix.IPPROTO_ICMPV6, ICMPType: new(uint8(128)),
			ICMPID: new(uint16(echoID))}, echo6, udp6},
		{"interface in", netfilter.Match{Dst: prefix("10.0.2.2/32"), In: "a"}, udp4, local},
		{"interface out", netfilter.Match{Dst: prefix("10.0.2.2/32"), Out: "b"}, local, udp4},
		{"mark", netfilter.Match{Dst: prefix("10.0.2.2/32"), Mark: new(uint32(mark)), Out: "b"}, marked, local},
		{"payload", netfilter.Match{Dst: prefix("10.0.2.2/32"), Proto: unix.IPPROTO_UDP, Payload: 5}, udp4, tcp4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := n.with(t)
			tr := n.start(tt.match)
			tt.none.send(t)
			if tt.fits == marked {
				tt.fits.sendMarked(t, mark)
			} else {
				tt.fits.send(t)
			}
			p := n.next(tr)
			if got, want := p.First.Src.String(), tt.fits.addr(); got != want || p.First.Proto != tt.fits.match().Proto ||
				p.First.DstPort != tt.fits.match().DstPort || p.First.SrcPort != tt.fits.match().SrcPort {
				t.Errorf("traced %+v, want the packet of %s %s", p.First, tt.fits.proto, want)
			}
		})
	}
	m := udp4.match()
	m.Payload = 6
	tr := n.start(m)
	udp4.send(t)
	none(t, tr)
}
