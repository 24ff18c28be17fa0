//go:build linux

package faults

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/patience"
)

// faultsOfDrops are more of those that netfilter's trace does not show: rules that it is
// turned off for, queues that nobody reads, filters of cgroups and of sockets.
func faultsOfDrops() []fault { return slices.Concat(dropsOnA(), dropsOnH()) }

// each adds a case for each firewall to others.
func each(all *[]fault, f fault, host func(*site) *lab.Host, p packets, walls ...firewall) {
	*all = append(*all, behind(f, host, these(p), walls...)...)
}

func dropsOnA() []fault {
	const nobody = "nfnetlink_queue"
	web, reply := packets{proto: "tcp", dport: 80}, packets{proto: "tcp", sport: 80}
	toH, fromH := packets{proto: "udp", dport: 51820}, packets{proto: "udp", sport: 51820}
	grouped := func(s *site) { inCgroup(s, s.A) }
	out, in := onCgroup(ebpf.AttachCGroupInetEgress), onCgroup(ebpf.AttachCGroupInetIngress)

	var all []fault
	code := diagnose.OutputFirewall
	each(&all, fault{code: code, side: "A", at: "A1", says: eliminated, mends: true}, hostA, web, hidden("inet filter output 0"),
		hidden("inet filter postrouting 10"))
	each(&all, fault{code: code, side: "A", at: "A1", says: nobody}, hostA, web, unread("filter OUTPUT NFQUEUE"), legacyQueue("filter OUTPUT"))
	each(&all, fault{code: code, side: "A", at: "A1", says: "BPF program wgnode_lab"}, hostA, web, netfilterLink(netfilterOutput))
	code = diagnose.InputFirewall
	each(&all, fault{code: code, side: "A", at: "A6", says: eliminated, mends: true},
		hostA, reply, hidden("inet filter input 0"))
	each(&all, fault{code: code, side: "A", at: "A6", says: nobody}, hostA, reply, unread("filter INPUT NFQUEUE"))
	code = diagnose.UnderlayOutputFirewall
	each(&all, fault{code: code, side: "A", at: "A2", fresh: true, says: eliminated, mends: true},
		hostA, toH, hidden("inet filter output 0"))
	each(&all, fault{code: code, side: "A", at: "A2", fresh: true, says: nobody}, hostA, toH, unread("filter OUTPUT NFQUEUE"))
	code = diagnose.UnderlayInputFirewall
	each(&all, fault{code: code, side: "A", at: "A3", fresh: true, says: eliminated, mends: true},
		hostA, fromH, hidden("inet filter input 0"))
	each(&all, fault{code: code, side: "A", at: "A3", fresh: true, says: nobody}, hostA, fromH, unread("filter INPUT NFQUEUE"))

	code = diagnose.BPFDrop
	each(&all, fault{code: code, how: "inner", side: "A", at: "A1", says: "wgnode_lab", twin: grouped}, hostA, web, out)
	each(&all, fault{code: code, how: "inner", side: "A", at: "A6", says: "wgnode_lab", twin: grouped}, hostA, reply, in)
	each(&all, fault{code: code, how: "encrypted", side: "A", at: "A4", says: "wgnode_lab", twin: grouped}, hostA, toH, out)
	each(&all, fault{code: code, how: "encrypted", side: "A", at: "A5", says: "wgnode_lab", twin: grouped}, hostA, fromH, in)

	return append(all,
		fault{code: diagnose.QueueFull, how: "the tunnel's own", side: "A", at: "A1", says: "queue of wg0", inject: func(s *site) {
			s.A.Run("ip", "link", "set", "wg0", "txqueuelen", "0")
		}},
		fault{code: diagnose.MTUBlackhole, how: "the other end of the cable", side: "A", at: "A2", fresh: true, only: 4,
			says: "__dev_forward_skb2", first: diagnose.MTUBlackhole,
			twin:   func(s *site) { s.R.Run("ip", "link", "set", "lan", "mtu", "1490") },
			inject: func(s *site) { s.R.Run("ip", "link", "set", "lan", "mtu", "150") }})
}

func dropsOnH() []fault {
	const nobody = "nfnetlink_queue"
	web, reply, toH := packets{proto: "tcp", dport: 80}, packets{proto: "tcp", sport: 80}, packets{proto: "udp", dport: 51820}
	askH := func(s *site) *diagnose.Report { return s.Overheard(net.JoinHostPort(s.Inner(2), "8080")) }

	var all []fault
	each(&all, fault{code: diagnose.UnderlayInputFirewall, side: "B", at: "B2", fresh: true, says: eliminated, mends: true}, hostH, toH,
		hidden("inet filter input 0"))
	each(&all, fault{code: diagnose.BPFDrop, how: "encrypted", side: "B", at: "B3", says: "wgnode_lab",
		twin: func(s *site) { inCgroup(s, s.H) }}, hostH, toH, onCgroup(ebpf.AttachCGroupInetIngress))
	code := diagnose.ForwardFirewall
	each(&all, fault{code: code, side: "B", at: "B5", says: eliminated, mends: true}, hostH, web, hidden("inet filter forward 0"),
		hidden("ip filter prerouting -150"))
	each(&all, fault{code: code, side: "B", at: "B5", says: nobody}, hostH, web, unread("filter FORWARD NFQUEUE"),
		legacyQueue("filter FORWARD"), legacyQueue("raw PREROUTING"))
	each(&all, fault{code: code, side: "B", at: "B5", says: "BPF program wgnode_lab"}, hostH, web, netfilterLink(netfilterForward))
	code = diagnose.ReturnFirewall
	each(&all, fault{code: code, side: "B", at: "B7", says: eliminated, mends: true},
		hostH, reply, hidden("inet filter forward 0"))
	each(&all, fault{code: code, side: "B", at: "B7", says: nobody}, hostH, reply, unread("filter FORWARD NFQUEUE"))

	return append(all,
		fault{code: diagnose.BPFDrop, how: "of the socket of a service on H", side: "B", at: "B7", says: "a filter of the socket", ask: askH,
			twin:   func(s *site) { serveFiltered(s, packets{dport: 9080}) },
			inject: func(s *site) { serveFiltered(s, packets{dport: 8080}) }},
		fault{code: diagnose.TTLExceeded, how: "a rule sets the TTL", side: "B", at: "B5", says: "IP_INHDR",
			twin: func(s *site) { setTTL(s, "64") }, inject: func(s *site) { setTTL(s, "1") }},
		fault{code: diagnose.ConnectionRefused, how: "nothing listens on H, by its kernel's word", side: "B",
			says: "NO_SOCKET in tcp_v", conf: func(*site) {}, ask: askH})
}

// eliminated is said of a rule that no trace has shown.
const eliminated = "only one of nftables"

// hidden is a rule of nft's in a chain whose trace is turned off before it.
func hidden(spec string) firewall {
	wall := chain(spec, "drop")
	return firewall{"nft " + spec + ", behind nftrace set 0", func(s *site, h *lab.Host, p packets, comment string) {
		p.more += " meta nftrace set 0"
		wall.put(s, h, p, comment)
	}}
}

// unread is a rule that gives packets to a queue that no program reads.
func unread(spec string) firewall {
	return iptables(spec, "--queue-num", "5")
}

// legacyQueue is the same of iptables as it was before nftables.
func legacyQueue(spec string) firewall {
	return firewall{"legacy iptables " + spec + ", NFQUEUE", func(s *site, h *lab.Host, p packets, _ string) {
		table, chain, _ := strings.Cut(spec, " ")
		program := "iptables-legacy"
		if s.V6 {
			program = "ip6tables-legacy"
		}
		h.Run(append(append([]string{program, "-w", "-t", table, "-A", chain}, p.iptables()...), "-j", "NFQUEUE", "--queue-num", "5")...)
	}}
}

const (
	netfilterForward = link.NetfilterInetHook(2)
	netfilterOutput  = link.NetfilterInetHook(3)
)

// netfilterLink is a BPF program at a hook of netfilter's.
func netfilterLink(hook link.NetfilterInetHook) firewall {
	return firewall{fmt.Sprintf("BPF netfilter link, hook %d", hook), func(s *site, h *lab.Host, p packets, comment string) {
		family := link.NetfilterProtocolFamily(unix.NFPROTO_IPV4)
		if s.V6 {
			family = unix.NFPROTO_IPV6
		}
		priority := map[bool]int32{false: -50, true: -49}[comment == harmless] // each is another's
		attach(s, h, "lo", ebpf.Netfilter, droppingInHook(s, p), func(_ int, program *ebpf.Program) (link.Link, error) {
			return link.AttachNetfilter(link.NetfilterOptions{Program: program, ProtocolFamily: family, Hook: hook, Priority: priority})
		})
	}}
}

// droppingInHook is a program for a hook of netfilter's that drops packets p. What it is
// given of a packet are the kernel's own structures.
func droppingInHook(s *site, p packets) asm.Instructions {
	s.T.Helper()
	types, err := btf.LoadKernelSpec()
	if err != nil {
		s.T.Fatal(err)
	}
	var skb *btf.Struct
	if err := types.TypeByName("sk_buff", &skb); err != nil {
		s.T.Fatal(err)
	}
	at := slices.IndexFunc(skb.Members, func(m btf.Member) bool { return m.Name == "data" })
	proto, port, want := fields(p, s.V6)
	const frame = -48
	code := asm.Instructions{
		asm.LoadMem(asm.R1, asm.R1, 8, asm.DWord), // the packet
		asm.LoadMem(asm.R3, asm.R1, int16(skb.Members[at].Offset.Bytes()), asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R10), asm.Add.Imm(asm.R1, frame), asm.Mov.Imm(asm.R2, -frame),
		asm.FnProbeReadKernel.Call(),
		asm.JNE.Imm(asm.R0, 0, "pass"),
		asm.LoadMem(asm.R1, asm.R10, frame, asm.Byte), asm.RSh.Imm(asm.R1, 4), asm.JNE.Imm(asm.R1, want[0], "pass"),
		asm.LoadMem(asm.R1, asm.R10, frame+proto, asm.Byte), asm.JNE.Imm(asm.R1, want[1], "pass"),
		asm.LoadMem(asm.R1, asm.R10, frame+port, asm.Half), asm.HostTo(asm.BE, asm.R1, asm.Half), asm.JNE.Imm(asm.R1, want[2], "pass"),
		asm.Mov.Imm(asm.R0, 0), asm.Return(), // NF_DROP
		asm.Mov.Imm(asm.R0, 1).WithSymbol("pass"), asm.Return(),
	}
	return code
}

// onCgroup is a BPF program of a cgroup that the host's node is in.
func onCgroup(at ebpf.AttachType) firewall {
	way := map[ebpf.AttachType]string{ebpf.AttachCGroupInetIngress: "ingress", ebpf.AttachCGroupInetEgress: "egress"}[at]
	return firewall{"cgroup " + way, func(s *site, h *lab.Host, p packets, _ string) {
		program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "wgnode_lab", Type: ebpf.CGroupSKB,
			Instructions: dropping(p, s.V6, 1, 0), License: "Dual MIT/GPL"})
		if err != nil {
			s.T.Fatal(err)
		}
		defer program.Close()
		l, err := link.AttachCgroup(link.CgroupOptions{Path: cgroupOf(h), Attach: at, Program: program})
		if err != nil {
			s.T.Fatal(err)
		}
		s.T.Cleanup(func() { _ = l.Close() }) // it goes with its cgroup
	}}
}

// inCgroup moves a host's node into a cgroup of its own, and has it open its socket anew: a
// socket belongs to the cgroup that it was made in.
func inCgroup(s *site, h *lab.Host) {
	s.T.Helper()
	h.Run("sh", "-c", "mkdir -p /run/cgroup && mount -t cgroup2 none /run/cgroup")
	group := cgroupOf(h)
	if err := os.Mkdir(group, 0o755); err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() {
		// Whoever is in it has to leave first.
		all, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
		for _, pid := range strings.Fields(string(all)) {
			err = errors.Join(err, os.WriteFile(filepath.Join(filepath.Dir(group), "cgroup.procs"), []byte(pid), 0))
		}
		if err := errors.Join(err, os.Remove(group)); err != nil {
			s.T.Errorf("remove cgroup: %v", err)
		}
	})
	h.Run("sh", "-c", "pgrep -x wgnode > /run/node && cat /run/node > /run/cgroup/"+filepath.Base(group)+"/cgroup.procs")
	port := strings.TrimSpace(h.Run("wg", "show", "wg0", "listen-port"))
	h.Run("wg", "set", "wg0", "listen-port", "51899")
	h.Run("wg", "set", "wg0", "listen-port", port)
}

// cgroupOf is the path of a host's cgroup, outside of the host.
func cgroupOf(h *lab.Host) string {
	return fmt.Sprintf("/proc/%d/root/run/cgroup/wgnode-test-%d", h.Pid(), h.Pid())
}

// serveFiltered has H serve, with a filter for the service's socket.
func serveFiltered(s *site, p packets) {
	if s.service == nil {
		if err := s.H.Do(func() error {
			var plain net.ListenConfig
			plain.SetMultipathTCP(false) // whose sockets take no filter
			l, err := plain.Listen(s.T.Context(), "tcp", "[::]:8080")
			if err == nil {
				s.service = l.(*net.TCPListener)
			}
			return err
		}); err != nil {
			s.T.Fatal(err)
		}
		server := &http.Server{ReadHeaderTimeout: patience.Limit()}
		s.T.Cleanup(func() { _ = server.Close() })
		go func() { _ = server.Serve(s.service) }() // ends with ErrServerClosed
	}
	code := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 2}, // the port of destination: the filter begins behind the IP header
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(p.dport), Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
	}
	raw, err := s.service.SyscallConn()
	if err == nil {
		err = errors.Join(raw.Control(func(fd uintptr) {
			program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
			err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
		}), err)
	}
	if err != nil {
		s.T.Fatal(err)
	}
}
