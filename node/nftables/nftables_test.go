//go:build linux

package nftables

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
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
	nft := func(input string, args ...string) string {
		t.Helper()
		cmd := exec.Command("nft", args...)
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("nft %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	table := Table{Link: "wg-longest.name", IPv6: true, Mark: 4660,
		Addresses: []netip.Addr{netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd01::1")}}
	for range 2 { // the second replaces the first
		if err := Replace(table); err != nil {
			t.Fatal(err)
		}
	}
	got := nft("", "list", "ruleset")
	if err := Delete(table); err != nil {
		t.Error(err)
	}
	if err := Delete(table); !errors.Is(err, unix.ENOENT) {
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
