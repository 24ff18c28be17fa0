//go:build linux

package nftables

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// The table must read as nft(8) reads back what wg-quick gives it.
const wgQuick = `add table ip6 wg-quick-wg-longest.name
add chain ip6 wg-quick-wg-longest.name preraw { type filter hook prerouting priority -300; }
add chain ip6 wg-quick-wg-longest.name premangle { type filter hook prerouting priority -150; }
add chain ip6 wg-quick-wg-longest.name postmangle { type filter hook postrouting priority -150; }
add rule ip6 wg-quick-wg-longest.name preraw iifname != "wg-longest.name" ip6 daddr fd00::1 fib saddr type != local drop
add rule ip6 wg-quick-wg-longest.name preraw iifname != "wg-longest.name" ip6 daddr fd01::1 fib saddr type != local drop
add rule ip6 wg-quick-wg-longest.name postmangle meta l4proto udp mark 4660 ct mark set mark
add rule ip6 wg-quick-wg-longest.name premangle meta l4proto udp meta mark set ct mark
`

func TestTable(t *testing.T) {
	nft := ownNamespace(t)
	table := Table{Link: "wg-longest.name", IPv6: true, Mark: 4660,
		Addresses: []netip.Addr{netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd01::1")}}
	var k Keeper
	for range 2 { // the second replaces the first
		if err := k.AddTable(table); err != nil {
			t.Fatal(err)
		}
	}
	got := nft("", "list", "ruleset")
	if err := k.DeleteTable(table); err != nil {
		t.Error(err)
	}
	if err := k.DeleteTable(table); !errors.Is(err, unix.ENOENT) {
		t.Errorf("deleted again: %v", err)
	}
	if left := nft("", "list", "ruleset"); left != "" {
		t.Errorf("left:\n%s", left)
	}
	nft(wgQuick, "-f", "-")
	if want := nft("", "list", "ruleset"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
