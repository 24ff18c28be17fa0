//go:build linux

package routing

import (
	"net/netip"
	"testing"
)

func TestDecide(t *testing.T) {
	ownNamespace(t,
		"link add up0 mtu 1480 type veth peer name far0",
		"link set up0 up",
		"address add 192.0.2.1/24 dev up0",
		"-6 address add fd00::1/64 dev up0 nodad",
		"route add 10.1.0.0/16 via 192.0.2.254 mtu 1400",
		"route add 10.2.0.0/16 via inet6 fd00::fe dev up0",
		"route add unreachable 10.3.0.0/16",
		"route add prohibit 10.4.0.0/16",
		"route add blackhole 10.5.0.0/16",
		"-6 route add fd01::/64 via fd00::fe",
		"-6 route add unreachable fd03::/64",
		"-6 route add prohibit fd04::/64",
		"-6 route add blackhole fd05::/64",
		"rule add fwmark 7 table 77",
		"route add 10.1.0.0/16 dev lo table 77",
		"-6 rule add fwmark 8 prohibit",
		"-6 route add fe80::/64 dev up0",
	)
	s, err := Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer s.End()
	for _, tc := range []struct {
		dst          string
		mark         uint32
		typ          Type
		link         string
		gateway, src netip.Addr
		mtu          int
		table        Table
	}{
		{dst: "192.0.2.7", typ: TypeUnicast, link: "up0", src: addr("192.0.2.1"), mtu: 1480, table: 254},
		{dst: "192.0.2.255", typ: TypeBroadcast, link: "up0", src: addr("192.0.2.1"), mtu: 1480, table: 255},
		{dst: "192.0.2.1", typ: TypeLocal, link: "lo", src: addr("192.0.2.1"), mtu: 65536, table: 255},
		{dst: "10.1.2.3", typ: TypeUnicast, link: "up0", gateway: addr("192.0.2.254"), src: addr("192.0.2.1"), mtu: 1400, table: 254},
		{dst: "::ffff:10.1.2.3", typ: TypeUnicast, link: "up0", gateway: addr("192.0.2.254"), src: addr("192.0.2.1"), mtu: 1400, table: 254},
		{dst: "10.1.2.3", mark: 7, typ: TypeUnicast, link: "lo", src: addr("192.0.2.1"), mtu: 65536, table: 77},
		{dst: "10.2.2.3", typ: TypeUnicast, link: "up0", gateway: addr("fd00::fe"), src: addr("192.0.2.1"), mtu: 1480, table: 254},
		{dst: "10.3.2.3", typ: TypeUnreachable},
		{dst: "10.4.2.3", typ: TypeProhibit},
		{dst: "10.5.2.3", typ: TypeBlackhole},
		{dst: "10.6.2.3", typ: TypeNone},
		{dst: "fd01::7", typ: TypeUnicast, link: "up0", gateway: addr("fd00::fe"), src: addr("fd00::1"), mtu: 1480, table: 254},
		{dst: "fd01::7", mark: 8, typ: TypeProhibit},
		{dst: "fd03::7", typ: TypeUnreachable},
		{dst: "fd04::7", typ: TypeProhibit},
		{dst: "fd05::7", typ: TypeBlackhole},
		{dst: "fd06::7", typ: TypeNone},
	} {
		d, err := s.Decide(Flow{Dst: addr(tc.dst), Mark: tc.mark}.Own())
		if err != nil {
			t.Errorf("%s mark %d: %v", tc.dst, tc.mark, err)
			continue
		}
		var hop Hop
		if len(d.Hops) > 0 {
			hop = d.Hops[0]
		}
		if d.Type != tc.typ || hop.Dev != tc.link || hop.Gateway != tc.gateway || d.PrefSrc != tc.src || d.MTU != tc.mtu || d.Table != tc.table {
			t.Errorf("%s mark %d: got %+v, want %+v", tc.dst, tc.mark, d, tc)
		}
	}
	if d, err := s.Decide(Flow{Dst: addr("fe80::1%up0")}); err != nil || d.OutLink() != "up0" {
		t.Errorf("with a zone: %+v, %v", d, err)
	}
	if _, err := s.Decide(Flow{Dst: addr("fe80::1%none")}); err == nil {
		t.Error("with the zone of no link: no error")
	}
}

func TestFirstDefault(t *testing.T) {
	ownNamespace(t,
		"link add up0 mtu 1480 type veth peer name far0",
		"link set up0 up",
		"address add 192.0.2.1/24 dev up0",
	)
	if d, err := FirstDefault(false); d.Type != TypeNone || err != nil {
		t.Errorf("without one: %+v, %v", d, err)
	}
	ip(t, "route add default via 192.0.2.3 metric 20", "route add default via 192.0.2.2 metric 10 mtu 1300",
		"route add 0.0.0.0/1 via 192.0.2.4")
	d, err := FirstDefault(false)
	if err != nil || d.gateway() != addr("192.0.2.2") || d.MTU != 1300 || d.OutLink() != "up0" {
		t.Errorf("got %+v, %v", d, err)
	}
}

// What leads into the tunnel leaves by what would carry it if the tunnel had no routes;
// what does not is left alone.
func TestBypassLink(t *testing.T) {
	ownNamespace(t,
		"link add up0 type veth peer name far0", "link set up0 up", "link set far0 up", "address add 198.51.100.2/24 dev up0",
		"link add wg0 type veth peer name wg1", "link set wg0 up", "link set wg1 up",
		"route add default via 198.51.100.1", "route add 192.0.2.0/24 dev wg0 table 77", "rule add not fwmark 7 lookup 77 priority 100",
	)
	for _, tc := range []struct {
		dst  string
		mark uint32
		want string
	}{
		{dst: "192.0.2.7", want: "up0"},
		{dst: "192.0.2.7", mark: 7},
		{dst: "203.0.113.1"},
	} {
		if got, err := BypassLink(addr(tc.dst), tc.mark, "wg0"); got != tc.want || err != nil {
			t.Errorf("%s mark %d: %q, %v; want %q", tc.dst, tc.mark, got, err, tc.want)
		}
	}
}
