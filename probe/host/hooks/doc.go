//go:build linux

// Package hooks lists what is on the way of packets through this host and may drop them,
// and that netfilter's trace does not show: BPF programs at devices (XDP, tcx), tc filters,
// BPF programs of cgroups and at netfilter's hooks, rules of legacy iptables, a full
// connection tracking table, and which queues of NFQUEUE are read. It attaches nothing, and
// follows no packet: that something is there does not say what it does.
//
// Devices, legacy iptables and queues are those of the network namespace of the calling
// thread. Cgroups are those that the process can see, and BPF links to netfilter's hooks
// those of the whole host: the kernel does not say of which namespace they are.
package hooks
