//go:build linux

package hooks

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/evidence"
)

// namespace puts the test into an empty network namespace, which vanishes with the thread.
func namespace(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
}

// program is one that lets everything pass.
func program(t *testing.T, kind ebpf.ProgramType, at ebpf.AttachType, pass int32) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "wgnode_lab", Type: kind, AttachType: at, License: "MIT",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, pass), asm.Return()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// keep keeps a link until the test ends.
func keep(t *testing.T, l link.Link, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
}

// here are those of this network namespace alone.
func here(t *testing.T) []evidence.Hook {
	t.Helper()
	all, unseen := List()
	for _, u := range unseen {
		if !strings.HasPrefix(u, "of ") { // the machine has many of them, in other namespaces
			t.Error(u)
		}
	}
	var found []evidence.Hook
	for _, h := range all {
		if h.Kind != evidence.HookCgroupIngress && h.Kind != evidence.HookCgroupEgress && h.Kind != evidence.HookNetfilter {
			found = append(found, h)
		}
	}
	return found
}

// An empty namespace has none; what is attached is found with its names, and with the
// command that shows it.
func TestList(t *testing.T) {
	namespace(t)
	for _, h := range here(t) {
		if h.Kind != evidence.HookQueues || h.Text != "no program reads a queue (NFQUEUE) here" {
			t.Errorf("in an empty namespace: %+v", h)
		}
	}
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
		l, err := link.AttachTCX(link.TCXOptions{Interface: lo.Index, Program: program(t, ebpf.SchedCLS, 0, -1), Attach: at})
		keep(t, l, err)
	}
	l, err := link.AttachXDP(link.XDPOptions{Interface: lo.Index, Program: program(t, ebpf.XDP, 0, 2), Flags: link.XDPGenericMode})
	keep(t, l, err)
	l, err = link.AttachNetfilter(link.NetfilterOptions{Program: program(t, ebpf.Netfilter, ebpf.AttachNetfilter, 1), Hook: 2,
		ProtocolFamily: unix.NFPROTO_IPV4, Priority: -50})
	keep(t, l, err)
	want := []string{"xdp: XDP program wgnode_lab (id ", "tc ingress: tcx program wgnode_lab (id ", "tc egress: tcx program wgnode_lab (id ",
		"netfilter: BPF program wgnode_lab (id "}
	if _, err := exec.LookPath("iptables-legacy"); err == nil {
		for _, args := range [][]string{{"-A", "OUTPUT", "-j", "ACCEPT"}, {"-t", "mangle", "-S"}} {
			if out, err := exec.Command("iptables-legacy", args...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		want = append(want, "legacy: rules of legacy iptables in table ip filter")
	}
	all, unseen := List()
	for _, u := range unseen {
		t.Error(u)
	}
	var texts []string
	for _, h := range all {
		texts = append(texts, string(h.Kind)+": "+h.Text)
		if h.Show == "" || h.Kind == evidence.HookXDP && h.Device != "lo" {
			t.Errorf("%+v", h)
		}
	}
	said := strings.Join(texts, "\n")
	for _, w := range want {
		if !strings.Contains(said, w) {
			t.Errorf("%q is not in\n%s", w, said)
		}
	}
	if strings.Contains(said, "mangle") {
		t.Errorf("a table without rules is listed:\n%s", said)
	}
}

// A program of a cgroup is found where it is attached.
func TestCgroup(t *testing.T) {
	namespace(t)
	root, err := CgroupRoot()
	if err != nil {
		t.Fatal(err)
	}
	if root == "" {
		t.Skip("the second version of cgroups is not mounted")
	}
	dir, err := os.MkdirTemp(root, "wgnode-test-")
	if err != nil {
		t.Skipf("cannot make a cgroup: %v", err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	l, err := link.AttachCgroup(link.CgroupOptions{Path: dir, Attach: ebpf.AttachCGroupInetEgress,
		Program: program(t, ebpf.CGroupSKB, 0, 1)})
	keep(t, l, err)
	all, _ := List()
	for _, h := range all {
		if h.Kind == evidence.HookCgroupEgress && strings.HasSuffix(h.Text, "cgroup "+strings.TrimPrefix(dir, root)) &&
			strings.Contains(h.Text, "wgnode_lab") && strings.HasPrefix(h.Remove, "bpftool link detach id ") {
			return
		}
	}
	t.Errorf("%s is not among %+v", dir, all)
}
