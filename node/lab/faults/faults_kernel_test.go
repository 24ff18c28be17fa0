//go:build linux

package faults

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// faultsOfKernel are drops that netfilter's trace does not show: by legacy iptables, and by
// BPF programs at devices.
func faultsOfKernel() []fault {
	var all []fault
	on := func(f fault, host func(*site) *lab.Host, p packets, walls ...firewall) {
		all = append(all, behind(f, host, these(p), walls...)...)
	}
	web, reply := packets{proto: "tcp", dport: 80}, packets{proto: "tcp", sport: 80}
	toH, fromH := packets{proto: "udp", dport: 51820}, packets{proto: "udp", sport: 51820}

	on(fault{code: diagnose.OutputFirewall, side: "A", at: "A1", says: "legacy"}, hostA, web, legacy("filter OUTPUT"))
	on(fault{code: diagnose.BPFDrop, side: "A", at: "A1", says: "egress"}, hostA, web, tcx("wg0", ebpf.AttachTCXEgress))
	on(fault{code: diagnose.InputFirewall, side: "A", at: "A6", says: "legacy"}, hostA, reply, legacy("filter INPUT"),
		legacy("raw PREROUTING"))
	on(fault{code: diagnose.BPFDrop, side: "A", at: "A6", says: "ingress"}, hostA, reply, tcx("wg0", ebpf.AttachTCXIngress))
	on(fault{code: diagnose.UnderlayOutputFirewall, side: "A", at: "A2", fresh: true, says: "legacy"}, hostA, toH,
		legacy("filter OUTPUT"))
	on(fault{code: diagnose.BPFDrop, how: "to the wire", side: "A", at: "A2", fresh: true, says: "egress of eth0"}, hostA, toH,
		tcx("eth0", ebpf.AttachTCXEgress))
	on(fault{code: diagnose.UnderlayInputFirewall, side: "A", at: "A3", fresh: true, says: "legacy"}, hostA, fromH,
		legacy("filter INPUT"))
	on(fault{code: diagnose.BPFDrop, how: "from the wire", side: "A", at: "A3", fresh: true}, hostA, fromH,
		tcx("eth0", ebpf.AttachTCXIngress), xdp("eth0"))

	on(fault{code: diagnose.ForwardFirewall, side: "B", at: "B5", says: "legacy"}, hostH, web, legacy("filter FORWARD"),
		legacy("mangle POSTROUTING"))
	on(fault{code: diagnose.BPFDrop, how: "forwarded", side: "B", at: "B5"}, hostH, web, tcx("lan", ebpf.AttachTCXEgress),
		tcx("wg0", ebpf.AttachTCXIngress))
	on(fault{code: diagnose.ReturnFirewall, side: "B", at: "B7", says: "legacy"}, hostH, reply, legacy("raw PREROUTING"))
	on(fault{code: diagnose.BPFDrop, how: "on the way back", side: "B", at: "B7"}, hostH, reply, tcx("lan", ebpf.AttachTCXIngress),
		xdp("lan"))
	for _, q := range []string{"pfifo limit 0", "blackhole"} {
		all = append(all, fault{code: diagnose.QueueFull, how: q, side: "A", at: "A1", inject: func(s *site) { full(s.A, "wg0", q) }})
	}
	return append(all, fault{code: diagnose.QueueFull, how: "to the wire", side: "A", at: "A2", fresh: true,
		inject: func(s *site) { full(s.A, "eth0", "pfifo limit 0") }})
}

// full gives a device a queue that has no room.
func full(h *lab.Host, device, queue string) {
	h.Run(append([]string{"tc", "qdisc", "replace", "dev", device, "root"}, strings.Fields(queue)...)...)
}

// Datagrams find no room in the buffer of a service that does not read them.
func TestSocketBufferFull(t *testing.T) {
	t.Parallel()
	eachFamily(t, func(t *testing.T, s *site) {
		s.UpBoth()
		addr := net.JoinHostPort("::", "9999")
		if err := s.H.ListenPacket("udp", addr).(*net.UDPConn).SetReadBuffer(1); err != nil { // the kernel has a least
			t.Fatal(err)
		}
		sender := s.A.Start("bash", "-c", fmt.Sprintf("exec 3>/dev/udp/%s/9999; for i in {1..600}; do printf %%0900d 0 >&3; sleep 0.05; done",
			s.Inner(2)))
		defer sender.Stop()
		s.Want(s.ExplainOn(s.H, net.JoinHostPort(s.Inner(2), "9999"), "--passive"), diagnose.SocketBufferFull, "")
	})
}

// The checksum of what comes to a service is wrong.
func TestChecksum(t *testing.T) {
	t.Parallel()
	eachFamily(t, func(t *testing.T, s *site) {
		s.UpBoth()
		s.H.ServeHTTP("[::]:8080", "hello")
		addr := net.JoinHostPort(s.Inner(2), "8080")
		s.Want(s.Overheard(addr), diagnose.Healthy, "")
		sitetest.NFT(s.A, "output", "tcp dport 8080 tcp checksum set 1")
		s.Want(s.Overheard(addr), diagnose.Checksum, "")
	})
}

// legacy is a rule of iptables as it was before nftables: "filter OUTPUT".
func legacy(spec string) firewall {
	var table, chain string
	if _, err := fmt.Sscan(spec, &table, &chain); err != nil {
		panic(err) // a mistake in the table of faults
	}
	return firewall{"legacy iptables " + spec, func(s *site, h *lab.Host, p packets, _ string) {
		program := "iptables-legacy"
		if s.V6 {
			program = "ip6tables-legacy"
		}
		h.Run(append(append([]string{program, "-w", "-t", table, "-A", chain}, p.iptables()...), "-j", "DROP")...)
	}}
}

// tcx is a BPF program at a device's ingress or egress.
func tcx(device string, at ebpf.AttachType) firewall {
	way := map[ebpf.AttachType]string{ebpf.AttachTCXIngress: "ingress", ebpf.AttachTCXEgress: "egress"}[at]
	return firewall{"tcx " + way + " " + device, func(s *site, h *lab.Host, p packets, _ string) {
		attach(s, h, device, ebpf.SchedCLS, dropping(p, s.V6, -1, 2), func(index int, program *ebpf.Program) (link.Link, error) {
			return link.AttachTCX(link.TCXOptions{Interface: index, Program: program, Attach: at})
		})
	}}
}

// xdp is a BPF program at a device that has packets before the kernel does.
func xdp(device string) firewall {
	return firewall{"XDP " + device, func(s *site, h *lab.Host, p packets, comment string) {
		if comment == harmless {
			return // a device has one, and that of the fault is to be it
		}
		attach(s, h, device, ebpf.XDP, droppingEarly(p, s.V6), func(index int, program *ebpf.Program) (link.Link, error) {
			return link.AttachXDP(link.XDPOptions{Interface: index, Program: program, Flags: link.XDPGenericMode})
		})
	}}
}

// attach attaches a program to a device of a host until the test ends.
func attach(s *site, h *lab.Host, device string, kind ebpf.ProgramType, code asm.Instructions,
	to func(index int, program *ebpf.Program) (link.Link, error)) {
	s.T.Helper()
	spec := &ebpf.ProgramSpec{Name: "wgnode_lab", Type: kind, Instructions: code, License: "Dual MIT/GPL"}
	if kind == ebpf.Netfilter {
		spec.AttachType = ebpf.AttachNetfilter
	}
	program, err := ebpf.NewProgram(spec)
	if err != nil {
		s.T.Fatal(err)
	}
	defer program.Close()
	err = h.Do(func() error {
		dev, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		l, err := to(dev.Index, program)
		if err != nil {
			return fmt.Errorf("attach program to %s: %w", device, err)
		}
		s.T.Cleanup(func() {
			if err := l.Close(); err != nil {
				s.T.Errorf("detach program from %s: %v", device, err)
			}
		})
		return nil
	})
	if err != nil {
		s.T.Fatal(err)
	}
}

// fields are where the version, the protocol and the port are, from the IP header on, and
// what they are of packets p.
func fields(p packets, six bool) (proto, port int16, want [3]int32) {
	number, n := map[string]int32{"tcp": 6, "udp": 17}[p.proto], p.dport
	proto, port, want[0] = 9, 22, 4
	if six {
		proto, port, want[0] = 6, 42, 6
	}
	if p.sport != 0 {
		port, n = port-2, p.sport
	}
	want[1], want[2] = number, int32(n)
	return proto, port, want
}

// dropping is a program of tc that drops packets p.
func dropping(p packets, six bool, pass, drop int32) asm.Instructions {
	proto, port, want := fields(p, six)
	code := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	for i, f := range []struct {
		at   int16
		size asm.Size
	}{{0, asm.Byte}, {proto, asm.Byte}, {port, asm.Half}} {
		code = append(code,
			asm.Mov.Imm(asm.R0, 0), asm.StoreMem(asm.R10, -8, asm.R0, asm.DWord),
			asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Imm(asm.R2, int32(f.at)),
			asm.Mov.Reg(asm.R3, asm.R10), asm.Add.Imm(asm.R3, -8),
			asm.Mov.Imm(asm.R4, int32(f.size.Sizeof())), asm.Mov.Imm(asm.R5, 1), // from the network header
			asm.FnSkbLoadBytesRelative.Call(),
			asm.JNE.Imm(asm.R0, 0, "pass"),
			asm.LoadMem(asm.R1, asm.R10, -8, f.size))
		switch {
		case f.size == asm.Half:
			code = append(code, asm.HostTo(asm.BE, asm.R1, asm.Half))
		case i == 0:
			code = append(code, asm.RSh.Imm(asm.R1, 4))
		}
		code = append(code, asm.JNE.Imm(asm.R1, want[i], "pass"))
	}
	return append(code, asm.Mov.Imm(asm.R0, drop), asm.Return(),
		asm.Mov.Imm(asm.R0, pass).WithSymbol("pass"), asm.Return())
}

// droppingEarly is a program of XDP that drops packets p behind an Ethernet header.
func droppingEarly(p packets, six bool) asm.Instructions {
	const ethernet = 14
	proto, port, want := fields(p, six)
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), // data
		asm.LoadMem(asm.R3, asm.R1, 4, asm.Word), // its end
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, ethernet+44),
		asm.JGT.Reg(asm.R4, asm.R3, "pass"),
		asm.LoadMem(asm.R4, asm.R2, ethernet, asm.Byte),
		asm.RSh.Imm(asm.R4, 4),
		asm.JNE.Imm(asm.R4, want[0], "pass"),
		asm.LoadMem(asm.R4, asm.R2, ethernet+proto, asm.Byte),
		asm.JNE.Imm(asm.R4, want[1], "pass"),
		asm.LoadMem(asm.R4, asm.R2, ethernet+port, asm.Half),
		asm.HostTo(asm.BE, asm.R4, asm.Half),
		asm.JNE.Imm(asm.R4, want[2], "pass"),
		asm.Mov.Imm(asm.R0, 1), asm.Return(),
		asm.Mov.Imm(asm.R0, 2).WithSymbol("pass"), asm.Return(),
	}
}

// Where nothing is seen it is said what may have taken it: here a filter that gives away what
// comes in, which is no drop.
func TestNothingSeen(t *testing.T) {
	t.Parallel()
	eachFamily(t, func(t *testing.T, s *site) {
		s.UpBoth()
		const hides = "tc filter (u32) at the ingress of wan"
		ask := func() string {
			return strings.Join(evidence.Texts(s.ExplainOn(s.H, s.Web(), "--passive", "--timeout", "2s").Verdict.Evidence), "\n")
		}
		if text := ask(); strings.Contains(text, "tc filter") {
			t.Errorf("without one: %s", text)
		}
		s.H.Run("ip", "link", "add", "away", "type", "veth", "peer", "name", "nowhere")
		s.H.Run("ip", "link", "set", "away", "up")
		s.H.Run("tc", "qdisc", "add", "dev", "wan", "clsact")
		s.H.Run("tc", "filter", "add", "dev", "wan", "ingress", "protocol", "all", "u32", "match", "u32", "0", "0",
			"action", "mirred", "egress", "redirect", "dev", "away")
		calls := s.Calls(s.Web())
		defer calls.Stop()
		if text := ask(); !strings.Contains(text, hides) {
			t.Errorf("%q is not said in %s", hides, text)
		}
	})
}
