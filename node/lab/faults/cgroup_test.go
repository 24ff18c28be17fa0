//go:build linux

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// faultsOfControlGroup are programs of the node's control group that refuse to send, with the
// same error as a firewall does.
func faultsOfControlGroup() []fault {
	web, toH := packets{proto: "tcp", dport: 80}, packets{proto: "udp", dport: 51820}
	return append(append(
		behind(fault{code: diagnose.BPFDrop, side: "A", at: "A1", says: "cgroup"}, hostA, these(web), controlGroup(ebpf.AttachCGroupInetEgress)),
		behind(fault{code: diagnose.BPFDrop, how: "to the wire", side: "A", at: "A2", says: "cgroup"}, hostA, these(toH),
			controlGroup(ebpf.AttachCGroupInetEgress))...),
		// It does not come as far as any hook, and the kernel does not say who has refused it.
		behind(fault{code: diagnose.BPFDrop, how: "to the wire, at once", side: "A", at: "A2", first: diagnose.BPFDrop,
			says: "no packet came as far as the output hook"}, hostA, these(toH), controlGroup(ebpf.AttachCGroupUDP4Sendmsg))...)
}

// controlGroup is a program of a control group that the host's node is in.
func controlGroup(at ebpf.AttachType) firewall {
	kind, name := ebpf.CGroupSKB, "egress"
	if at != ebpf.AttachCGroupInetEgress {
		kind, name = ebpf.CGroupSockAddr, "sendmsg"
	}
	return firewall{"control group, " + name, func(s *site, h *lab.Host, p packets, _ string) {
		s.T.Helper()
		at, code := at, dropping(p, s.V6, 1, 0)
		if kind == ebpf.CGroupSockAddr {
			if code = sendingNone(p.dport); s.V6 {
				at = ebpf.AttachCGroupUDP6Sendmsg
			}
		}
		program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: kind, AttachType: at, Instructions: code, License: "Dual MIT/GPL"})
		if err != nil {
			s.T.Fatal(err)
		}
		defer program.Close()
		attachToGroup(s, confined(s, h), at, program)
	}}
}

// attachToGroup adds a program to a control group, which it goes with, or the func that is returned
// takes it away.
func attachToGroup(s *site, group string, at ebpf.AttachType, program *ebpf.Program) (detach func()) {
	s.T.Helper()
	l, err := link.AttachCgroup(link.CgroupOptions{Path: group, Attach: at, Program: program})
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { _ = l.Close() })
	return func() { _ = l.Close() }
}

// sendingNone is a program that lets nothing be sent to a port.
func sendingNone(port int) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 24, asm.Word), // user_port of struct bpf_sock_addr
		asm.HostTo(asm.BE, asm.R2, asm.Half),
		asm.Mov.Imm(asm.R0, 1),
		asm.JNE.Imm(asm.R2, int32(port), "pass"),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return().WithSymbol("pass"),
	}
}

// newGroup makes a control group that goes with the test, and returns its folder.
func newGroup(s *site) string {
	s.T.Helper()
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if unix.Statfs(root, &st) != nil || st.Type != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		group, err := os.MkdirTemp(root, "wgnode-test-")
		if err != nil {
			s.T.Skipf("needs a control group: %v", err)
		}
		s.T.Cleanup(func() {
			inside, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
			for _, pid := range strings.Fields(string(inside)) {
				// One that has ended meanwhile is not in it any more.
				_ = os.WriteFile(filepath.Join(root, "cgroup.procs"), []byte(pid), 0)
			}
			if err == nil {
				err = os.Remove(group)
			}
			if err != nil {
				s.T.Errorf("remove %s: %v", group, err)
			}
		})
		return group
	}
	s.T.Skip("needs control groups of version 2")
	return ""
}

// confined has a host's node begin anew in a control group of its own, and returns the group's
// folder.
func confined(s *site, h *lab.Host) string {
	s.T.Helper()
	group := newGroup(s)
	// Sockets stay in the group that they were made in. Hosts do not see what is mounted here.
	h.Run(s.Wgnode, "down", "wg0")
	h.Run("sh", "-c", fmt.Sprintf("mkdir -p /run/groups && mount -t cgroup2 none /run/groups && echo $$ > /run/groups/%s/cgroup.procs && "+
		"umount /run/groups && exec %s up wg0", filepath.Base(group), s.Wgnode))
	return group
}
