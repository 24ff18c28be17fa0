//go:build linux

package attached

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// inNamespace moves the test to an empty network namespace, which vanishes with its thread,
// and runs commands there.
func inNamespace(t *testing.T, commands ...string) {
	t.Helper()
	if testing.Short() || os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	for _, c := range commands {
		args := strings.Fields(c)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c, err, out)
		}
	}
}

// What is at a device is found at its place, and what is not is not; a queueing discipline
// without filters takes nothing.
func TestPrograms(t *testing.T) {
	for _, c := range []struct {
		name string
		do   string
		want []string
	}{
		{name: "nothing"},
		{name: "no filters", do: "tc qdisc add dev near clsact"},
		{name: "ingress", do: "tc qdisc add dev near clsact; tc filter add dev near ingress u32 match u32 0 0",
			want: []string{"a tc filter at the ingress of near"}},
		{name: "egress", do: "tc qdisc add dev near clsact; tc filter add dev near egress u32 match u32 0 0",
			want: []string{"a tc filter at the egress of near"}},
		{name: "ingress as it was", do: "tc qdisc add dev near ingress; tc filter add dev near parent ffff: u32 match u32 0 0",
			want: []string{"a tc filter at the ingress of near"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inNamespace(t, "ip link add near type veth peer name far")
			for one := range strings.SplitSeq(c.do, ";") {
				if args := strings.Fields(one); len(args) > 0 {
					if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
						t.Fatalf("%s: %v\n%s", one, err, out)
					}
				}
			}
			if got, err := Programs(); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestAttachedPrograms(t *testing.T) {
	inNamespace(t, "ip link add near type veth peer name far")
	dev, err := net.InterfaceByName("near")
	if err != nil {
		t.Fatal(err)
	}
	load := func(kind ebpf.ProgramType, code int32) *ebpf.Program {
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: kind, License: "Dual MIT/GPL",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, code), asm.Return()}})
		if err != nil {
			t.Skipf("needs BPF: %v", err)
		}
		t.Cleanup(func() { p.Close() })
		return p
	}
	tcx, err := link.AttachTCX(link.TCXOptions{Interface: dev.Index, Program: load(ebpf.SchedCLS, -1), Attach: ebpf.AttachTCXEgress})
	if err != nil {
		t.Skipf("needs tcx: %v", err)
	}
	defer tcx.Close()
	xdp, err := link.AttachXDP(link.XDPOptions{Interface: dev.Index, Program: load(ebpf.XDP, 2), Flags: link.XDPGenericMode})
	if err != nil {
		t.Fatal(err)
	}
	defer xdp.Close()
	want := []string{"an XDP program at near", "a tcx program at the egress of near"}
	if got, err := Programs(); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

// A socket that was full is told by its port, one that was not, or another's, is not.
func TestFull(t *testing.T) {
	inNamespace(t, "ip link set lo up")
	full, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	port := uint16(full.LocalAddr().(*net.UDPAddr).Port)
	if err := full.SetReadBuffer(1); err != nil { // the kernel has a least
		t.Fatal(err)
	}
	if got, err := Full(port); err != nil || len(got) != 0 {
		t.Errorf("before: %q, %v", got, err)
	}
	c, err := net.Dial("udp4", full.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 64 {
		if _, err := c.Write(make([]byte, 900)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Full(port, port, 9); err != nil || len(got) != 1 || !strings.Contains(got[0], "have refused") {
		t.Errorf("%q, %v", got, err)
	}
}
