// Package drops watches which packets the kernel drops, where, and for what reason.
//
// # What the kernel tells
//
// The kernel frees a packet that it drops by kfree_skb, which says why (enum
// skb_drop_reason, from Linux 5.17) and from which function. That is a tracepoint, and a
// BPF program at it sees every dropped packet of the host: what netfilter's rules
// dropped as well as what they do not see, such as tc, XDP, sockets, full queues,
// neighbors that do not answer. A [Watcher] attaches such a program, which picks out the
// packets that it is asked for and copies their headers, 64 bytes from the IP header on.
//
//	kfree_skb ── program: Match or Tunnel, namespace, limit ──> ring buffer ──> Watcher.Read ──> Drop
//
// The program is assembled here, for the running kernel: the offsets of what it reads are
// those of the types that the kernel describes (BTF, /sys/kernel/btf/vmlinux). It changes
// nothing and sends nothing, and is attached only as long as a Watcher is open: the
// kernel detaches it when the process ends, however it ends.
//
// # What is needed
//
// CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, in the initial user namespace; a kernel with BTF,
// 5.17 or later. [Start] says what lacks. The names of places are those of /proc/kallsyms,
// which wants CAP_SYSLOG where kernel.kptr_restrict is 1; without it they are empty.
//
// # What it costs
//
// Packets that are not dropped cost nothing: the tracepoint is at drops alone. One that is of another
// namespace is left alone after four loads, and only one that is of this namespace is looked at further:
// BenchmarkForeign measures both. The program loads fields itself, since the verifier knows the types
// of what the tracepoint hands it; where it does not, the program calls a function for each. In a flood the
// program counts all drops ([Watcher.Places]), and reports of each place a hundred a second or
// so: see [Watcher.Lost]. TestDropsCost in node/lab/compare measures both. To begin takes some
// tenths of a second of CPU time, in which the kernel's types and symbols are read.
package drops
