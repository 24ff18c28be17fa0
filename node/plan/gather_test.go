//go:build linux

package plan

import (
	"reflect"
	"testing"
)

func TestGatherDefault(t *testing.T) {
	ownNamespace(t)
	for _, command := range []string{
		"ip link add up0 type veth peer name far0", "ip link set far0 up",
		"ip address add 192.0.2.1/24 dev up0", "ip link set up0 up",
		"ip route add default via 192.0.2.254", "ip route add 10.5.0.0/16 via 192.0.2.9",
		"ip route add 10.6.0.0/16 via 192.0.2.254 table 51820", "ip -6 route add unreachable fd06::/48 table 51821",
		"ip rule add from 10.8.0.0/16 table 99",
		"sysctl -q net.ipv4.conf.all.src_valid_mark=1",
	} {
		run(t, command)
	}
	if s, err := Gather(conf(t, "Table = 7", "AllowedIPs = 0.0.0.0/0"), nil, 0); err != nil || s.Default.FreeTable != 0 {
		t.Errorf("without a default route in the main table: %+v, %v", s.Default, err)
	}
	s, err := Gather(conf(t, "", "AllowedIPs = 0.0.0.0/0"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if s.NoIPv6 != "" {
		t.Skipf("needs IPv6: %s", s.NoIPv6)
	}
	want := DefaultState{FreeTable: 51822, SrcValidMark: true,
		V4: FamilyState{Priority: 32764, Default: "via 192.0.2.254 dev up0",
			Networks: []string{"10.5.0.0/16 via 192.0.2.9 dev up0", "192.0.2.0/24 dev up0"}},
		V6: FamilyState{Priority: 32765}}
	if !reflect.DeepEqual(s.Default, want) {
		t.Errorf("got\n%+v, want\n%+v", s.Default, want)
	}
}
