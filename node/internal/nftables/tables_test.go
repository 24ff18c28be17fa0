//go:build linux

package nftables

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ownNamespace moves the test to an empty network namespace, which vanishes
// with the test's thread, and returns nft(8) there.
func ownNamespace(t *testing.T) func(input string, args ...string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skipf("needs nft: %v", err)
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	if err := Available(); err != nil {
		t.Skip(err)
	}
	return func(input string, args ...string) string {
		t.Helper()
		cmd := exec.Command("nft", args...)
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("nft %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
}

const killSwitch = `table inet wgnode-killswitch-wg-longest.name {
	chain postrouting {
		type filter hook postrouting priority filter; policy drop;
		oifname "lo" accept comment "this host itself"
		oifname "wg-longest.name" accept comment "into the tunnel"
		meta mark 0x00001234 accept comment "the tunnel's encrypted packets, and the node's own lookups"
		icmpv6 type nd-router-solicit ip6 hoplimit 255 accept comment "IPv6 neighbour discovery"
		icmpv6 type nd-neighbor-solicit ip6 hoplimit 255 accept comment "IPv6 neighbour discovery"
		icmpv6 type nd-neighbor-advert ip6 hoplimit 255 accept comment "IPv6 neighbour discovery"
		ip6 daddr ff02::/16 icmpv6 type mld-listener-report accept comment "IPv6 multicast listener"
		ip6 daddr ff02::/16 icmpv6 type mld-listener-done accept comment "IPv6 multicast listener"
		ip6 daddr ff02::/16 icmpv6 type mld2-listener-report accept comment "IPv6 multicast listener"
		ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept comment "DHCP"
		meta nfproto ipv4 fib saddr type local udp sport 68 udp dport 67 accept comment "DHCP renewal"
		ip6 daddr ff02::1:2 udp sport 546 udp dport 547 accept comment "DHCPv6"
		ip daddr { 10.0.0.0/8, 192.0.2.1, 240.0.0.0/4 } accept comment "excluded"
		ip6 daddr { fd00::/12 } accept comment "excluded"
		oifname "eth0" ip daddr 192.168.0.0/20 accept comment "LAN"
		oifname "eth0" ip6 daddr fe80::/64 accept comment "LAN"
		ip daddr 224.0.0.0/24 accept comment "LAN"
		ip daddr 239.255.255.250 accept comment "LAN"
		ip daddr 255.255.255.255 accept comment "LAN"
		ip6 daddr ff02::/16 accept comment "LAN"
	}
}
`

const gateway = `table inet wgnode-gateway-wg0 {
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		meta nfproto ipv4 iifname "eth0" fib daddr type local tcp dport 8080 dnat ip to 10.0.0.2:80 comment "port forward"
		meta nfproto ipv6 iifname != "wg0" fib daddr type local udp dport 53 dnat ip6 to [fd00::2]:5353 comment "port forward"
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		iifname "wg0" oifname "eth0" masquerade comment "masquerade"
		iifname "wg0" oifname "eth1" masquerade comment "masquerade"
		oifname "wg0" ip daddr 10.0.0.2 tcp dport 80 ct status dnat masquerade comment "answers to a port forward come back here"
		oifname "wg0" ip6 daddr fd00::2 udp dport 5353 ct status dnat masquerade comment "answers to a port forward come back here"
	}

	chain forward {
		type filter hook forward priority mangle; policy accept;
		oifname "wg0" tcp flags syn / syn,rst tcp option maxseg size set rt mtu comment "segments fit through the tunnel"
		iifname "wg0" tcp flags syn / syn,rst tcp option maxseg size set rt mtu comment "segments fit through the tunnel"
	}
}
`

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// The tables read as nft(8) itself would have written them, and what replaces
// one leaves nothing of it.
func TestOwnTables(t *testing.T) {
	nft := ownNamespace(t)
	want := func(what, text string) {
		t.Helper()
		if got := nft("", "list", "ruleset"); got != text {
			t.Errorf("%s: got\n%s\nwant\n%s", what, got, text)
		}
	}
	keeper := Keeper{Open: true} // an owner is listed, too
	link := "wg-longest.name"
	first := KillSwitch{Link: link, Mark: 7, Excluded: prefixes("198.51.100.0/24", "2001:db8::/32")}
	if err := keeper.AddKillSwitch(first); err != nil {
		t.Fatal(err)
	}
	k := KillSwitch{Link: link, Mark: 0x1234,
		Excluded: prefixes("240.0.0.0/4", "10.1.0.0/16", "fd00::/12", "10.0.0.0/8", "192.0.2.1/32"),
		AllowLAN: true, LAN: []Network{{"eth0", netip.MustParsePrefix("192.168.0.0/20")}, {"eth0", netip.MustParsePrefix("fe80::/64")}}}
	if err := keeper.AddKillSwitch(k); err != nil {
		t.Fatal(err)
	}
	want("kill switch", killSwitch)
	if links, err := KillSwitches(); err != nil || !slices.Equal(links, []string{link}) {
		t.Errorf("kill switches of %v, %v", links, err)
	}
	if err := keeper.DeleteKillSwitch(link); err != nil {
		t.Error(err)
	}
	if err := keeper.DeleteKillSwitch(link); !errors.Is(err, unix.ENOENT) {
		t.Errorf("deleted again: %v", err)
	}

	g := Gateway{Link: "wg0", Masquerade: []string{"eth0", "eth1"}, Forwards: []Forward{
		{From: "eth0", Port: 8080, To: netip.MustParseAddrPort("10.0.0.2:80")},
		{UDP: true, Port: 53, To: netip.MustParseAddrPort("[fd00::2]:5353")},
	}}
	for range 2 {
		if err := keeper.AddGateway(g); err != nil {
			t.Fatal(err)
		}
	}
	want("gateway", gateway)
	if err := keeper.DeleteGateway("wg0"); err != nil {
		t.Error(err)
	}
	if err := keeper.DeleteGateway("wg0"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("deleted again: %v", err)
	}
	want("in the end", "")
}

// Lists of excluded prefixes may be long.
func TestManyExcluded(t *testing.T) {
	nft := ownNamespace(t)
	keeper := Keeper{Open: true} // an owner is listed, too
	k := KillSwitch{Link: "wg0", Mark: 7}
	for i := range 900 {
		var b [16]byte
		b[0] = 0x20
		binary.BigEndian.PutUint16(b[2:], uint16(2*i)) // so that no two are neighbours
		k.Excluded = append(k.Excluded, netip.PrefixFrom(netip.AddrFrom16(b), 32))
		k.Excluded = append(k.Excluded, netip.PrefixFrom(netip.AddrFrom4([4]byte(bytes.Join([][]byte{{10}, b[2:4], {0}}, nil))), 24))
	}
	if err := keeper.AddKillSwitch(k); err != nil {
		t.Fatal(err)
	}
	listed := nft("", "list", "ruleset")
	for _, p := range k.Excluded {
		if !strings.Contains(listed, fmt.Sprint(p)) {
			t.Fatalf("%s is not in the table", p)
		}
	}
}
