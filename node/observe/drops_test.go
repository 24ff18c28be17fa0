package observe

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/patience"
)

// What of a flood is not reported is said, with the place, also once the watch has ended.
func TestUnreportedDrops(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	closed := netip.MustParseAddrPort("127.0.0.9:999")
	var sel Selection
	sel.Add(evidence.FromWire, netfilter.To(closed, probe.ProtoUDP))
	k := newKernelDrops().(*kernelDrops)
	if err := k.Start(t.Context(), sel); err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenPacket("udp", "") // not connected: it does not hear that the port is closed
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 1000 {
		if _, err := c.WriteTo(nil, net.UDPAddrFromAddrPort(closed)); err != nil {
			t.Fatal(err)
		}
	}
	const want = "were counted and not looked at: NO_SOCKET in __udp4_lib_rcv"
	said := func() (string, bool) {
		all := strings.Join(k.Unseen(), "\n")
		return all, strings.Contains(all, want)
	}
	patience.See(t, want, said)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if all, ok := said(); !ok {
		t.Errorf("after the end: %q", all)
	}
}

// Where the kernel's functions have no names, nothing is proven, and that is said.
func TestUnnamedDrops(t *testing.T) {
	k := &kernelDrops{unnamed: 2}
	if all := strings.Join(k.Unseen(), "\n"); !strings.Contains(all, "2 packets of these is not known") ||
		!strings.Contains(all, "CAP_SYSLOG") {
		t.Error(all)
	}
}
