//go:build linux

package netfilter_test

import (
	"errors"
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
		{name: "source", match: netfilter.Match{Src: prefix("10.0.1.2/32")}, fits: udp4, none: local},
		{name: "source prefix", match: netfilter.Match{Src: prefix("10.0.1.2/25")}, fits: udp4, none: local},
		{name: "odd prefix", match: netfilter.Match{Src: prefix("fd00:1::/30"), Dst: prefix("fd00:2::/47")}, fits: udp6, none: udp4},
		{name: "any of a family", match: netfilter.Match{Src: prefix("10.0.0.0/8"), Dst: prefix("0.0.0.0/0")}, fits: udp4, none: udp6},
		{name: "destination", match: netfilter.Match{Dst: prefix("10.0.2.2/32")}, fits: udp4, none: here},
		{name: "protocol", match: netfilter.Match{Dst: prefix("10.0.2.2/32"), Proto: unix.IPPROTO_TCP}, fits: tcp4, none: udp4},
		{name: "destination port", match: netfilter.Match{Dst: prefix("10.0.2.2/32"), Proto: unix.IPPROTO_UDP, DstPort: 53},
			fits: udp4, none: port},
		{name: "source port", match: netfilter.Match{Dst: prefix("10.0.2.2/32"), Proto: unix.IPPROTO_UDP, SrcPort: 4000},
			fits: udp4, none: source},
		{name: "echo", match: netfilter.Match{Dst: prefix("fd00:2::/64"), Proto: unix.IPPROTO_ICMPV6, ICMPType: new(uint8(128)),
			ICMPID: new(uint16(echoID))}, fits: echo6, none: udp6},
		{name: "interface in", match: netfilter.Match{Dst: prefix("10.0.2.2/32"), In: "a"}, fits: udp4, none: local},
		{name: "interface out", match: netfilter.Match{Dst: prefix("10.0.2.2/32"), Out: "b"}, fits: local, none: udp4},
		{name: "mark", match: netfilter.Match{Dst: prefix("10.0.2.2/32"), Mark: new(uint32(mark)), Out: "b"}, fits: marked, none: local},
		{name: "payload", match: netfilter.Match{Dst: prefix("10.0.2.2/32"), Proto: unix.IPPROTO_UDP, Payload: 5}, fits: udp4, none: tcp4},
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

// What opens a connection is told from what follows, in both directions.
func TestMatchOpening(t *testing.T) {
	n := newNetwork(t)
	for _, addr := range []string{"10.0.2.2:80", "[fd00:2::2]:80"} {
		server := netip.MustParseAddrPort(addr)
		l := n.b.Listen("tcp", addr)
		there := netfilter.To(server, unix.IPPROTO_TCP)
		opening := there
		opening.Opening = true
		tr := n.start(opening, opening.Reverse(), there)
		c, err := n.a.Dial(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		for want := range 3 { // SYN, the answer, and the first segment of the connection
			if p := n.next(tr); p.Match != want {
				t.Errorf("packet %d, %+v, is selected by match %d", want, p.First, p.Match)
			}
		}
		if err := errors.Join(c.Close(), l.Close(), tr.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
