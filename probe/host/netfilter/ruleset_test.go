//go:build linux

package netfilter_test

import (
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// ownNamespace moves the test to an empty network namespace, which vanishes
// with the test's thread.
func ownNamespace(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
}

func nft(t *testing.T, script string) {
	t.Helper()
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
}

func TestSnapshot(t *testing.T) {
	lab.Need(t, "nft")
	ownNamespace(t)
	nft(t, `add table inet t
		add chain inet t last { type filter hook forward priority 10; policy drop; }
		add chain inet t helper
		add chain inet t post { type nat hook postrouting priority srcnat; }
		add table ip6 six
		add chain ip6 six first { type filter hook forward priority -10; }
		add table netdev n
		add chain netdev n in { type filter hook ingress device "lo" priority 5; }
	`)
	r, err := netfilter.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range r.Chains {
		got = append(got, c.Describe())
	}
	want := []string{
		"ip6 six first (filter hook forward priority -10, policy accept)",
		"inet t last (filter hook forward priority 10, policy drop)",
		"inet t post (nat hook postrouting priority 100, policy accept)",
		"netdev n in (filter hook ingress priority 5, policy accept)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("chains\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if cs := r.At(netfilter.Forward, true); len(cs) != 1 || cs[0].Name != "last" {
		t.Errorf("IPv4 packets meet %v in forward", cs)
	}
	if d := r.Chains[len(r.Chains)-1].Devices; !slices.Equal(d, []string{"lo"}) {
		t.Errorf("the chain at ingress is of device %q", d)
	}
	if len(r.Flowtables) != 0 || len(r.Legacy) != 0 {
		t.Errorf("flowtables %v, legacy %v", r.Flowtables, r.Legacy)
	}
}

func TestSnapshotFlowtable(t *testing.T) {
	lab.Need(t, "nft")
	ownNamespace(t)
	cmd := exec.Command("nft", "add table inet t; add flowtable inet t fast { hook ingress priority 0; devices = { lo }; }")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("this kernel has no flowtables: %s", out)
	}
	r, err := netfilter.Snapshot()
	if err != nil || len(r.Flowtables) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	f := r.Flowtables[0]
	if f.Name != "fast" || f.Table.String() != "inet t" || !reflect.DeepEqual(f.Devices, []string{"lo"}) {
		t.Errorf("flowtable %+v", f)
	}
}

func TestSnapshotLegacy(t *testing.T) {
	ownNamespace(t)
	if out, err := exec.Command("iptables-legacy", "-t", "mangle", "-S").CombinedOutput(); err != nil {
		t.Skipf("no legacy iptables here: %v %s", err, out)
	}
	r, err := netfilter.Snapshot()
	if err != nil || !slices.Equal(r.Legacy, []string{"ip mangle"}) {
		t.Errorf("legacy tables %v, %v", r, err)
	}
}

// Without the privilege it is said what is missing.
func TestUnavailable(t *testing.T) {
	ownNamespace(t)
	if err := netfilter.Available(); err != nil {
		t.Fatal(err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil { // of this thread, which ends with the test
		t.Fatal(err)
	}
	_, startErr := netfilter.Start(netfilter.Config{Matches: []netfilter.Match{{Dst: netip.MustParsePrefix("192.0.2.1/32")}}})
	for _, err := range []error{netfilter.Available(), startErr} {
		if err == nil || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
			t.Errorf("without privileges: %v", err)
		}
	}
}
