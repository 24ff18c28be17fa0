//go:build linux

package observe

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/patience"
)

// ownNamespace moves the test to an empty network namespace, which vanishes with the
// test's thread.
func ownNamespace(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	command(t, "ip", "link", "set", "lo", "up")
}

func command(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// sendDatagrams sends to a socket that nobody reads, and that has room for few.
func sendDatagrams(t *testing.T, n int) {
	t.Helper()
	in, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	out, err := net.Dial("udp4", in.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for range n {
		if _, err := out.Write([]byte("datagram")); err != nil {
			t.Fatal(err)
		}
	}
}

// blockPlain has IPsec refuse what no policy allows, of this host's own packets, too.
func blockPlain(t *testing.T) {
	t.Helper()
	command(t, "sysctl", "-q", "net.ipv4.conf.lo.disable_policy=0")
	if out, err := exec.Command("ip", "xfrm", "policy", "setdefault", "in", "block").CombinedOutput(); err != nil {
		t.Skipf("needs a default policy of IPsec (Linux 5.14): %v\n%s", err, out)
	}
}

// await reads until a source says that this is what was counted.
func await(t *testing.T, c Source, want evidence.Counter) {
	t.Helper()
	for {
		got := patience.Receive(t, want.String(), c.Observations()).Counters
		if len(got) != 1 || got[0].Name != want.Name || got[0].Before != want.Before || got[0].After > want.After {
			t.Fatalf("got %v, want %v", got, want)
		}
		if got[0].After == want.After {
			return
		}
	}
}

// What is counted is what the kernel refused between two looks at this namespace: not
// before, and not elsewhere. It goes on when other packets are selected.
func TestCounters(t *testing.T) {
	ownNamespace(t)
	blockPlain(t)
	sendDatagrams(t, 4) // before
	c := newCounters()
	defer c.Close()
	if err := c.Start(t.Context(), Selection{}); err != nil {
		t.Fatal(err)
	}
	sendDatagrams(t, 3)
	await(t, c, evidence.Counter{Name: "XfrmInNoPols", Before: 4, After: 7})
	t.Run("elsewhere", func(t *testing.T) {
		ownNamespace(t)
		blockPlain(t)
		sendDatagrams(t, 5)
	})
	if err := c.Start(t.Context(), Selection{}); err != nil {
		t.Fatal(err)
	}
	sendDatagrams(t, 2)
	await(t, c, evidence.Counter{Name: "XfrmInNoPols", Before: 4, After: 9})
	if u := c.Unseen(); len(u) > 0 {
		t.Errorf("unseen: %q", u)
	}
}

// A kernel that does not count is no error: what is missed is said.
func TestCountersMissing(t *testing.T) {
	dir := t.TempDir()
	snmp := "Ip: Forwarding\nIp: 1\nUdp: InDatagrams RcvbufErrors\nUdp: 7 3\n"
	if err := os.WriteFile(filepath.Join(dir, "snmp"), []byte(snmp), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "netstat"), []byte("TcpExt: PruneCalled\nTcpExt: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &counters{dir: dir, to: make(chan Observation)}
	defer c.Close()
	if err := c.Start(t.Context(), Selection{}); err != nil {
		t.Fatal(err)
	}
	want := []string{"which packets IPsec refuses: this kernel does not count them (no Xfrm in /proc/net/xfrm_stat)",
		"which packets rp_filter drops: this kernel does not count them (no TcpExtIPReversePathFilter in /proc/net/netstat)"}
	if got := c.Unseen(); !slices.Equal(got, want) {
		t.Errorf("unseen %q, want %q", got, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "snmp"), []byte(strings.Replace(snmp, "7 3", "9 5", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, c, evidence.Counter{Name: "UdpRcvbufErrors", Before: 3, After: 5})
}
