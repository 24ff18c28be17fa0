// Package owner knows the programs that write a firewall's rules, and speaks their
// language.
//
// A rule of ufw, firewalld or Docker that is changed behind its owner's back comes back
// with the owner's next reload. So what lets a packet pass is said in the owner's words
// where it has words for it, and otherwise with a comment that says how long it lasts.
// An owner is recognized by the names of its tables and chains, and by the sets and
// comments in its rules: see [Of].
//
// The package is pure: it knows names, and asks nothing.
package owner

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe"
)

// Drop is what dropped a packet, as far as it says whose it is.
type Drop struct {
	Family, Table string // "ip", "filter"
	// Chains are the chains of the table that the packet was in, in order. The last
	// is the one whose rule, or whose policy, decided.
	Chains []string
	// Rule is the text of the rule, "" if it was the policy.
	Rule string
	// Hook is where that was: "input", "forward", "output", "prerouting".
	Hook string
	Packet
}

// Packet is what was dropped.
type Packet struct {
	In, Out  string // links, "" for none
	Src, Dst netip.Addr
	Proto    uint8
	// SrcPort and DstPort are those that stand for a service, 0 for others.
	SrcPort, DstPort uint16
}

// reply is the packet that answers p.
func (p Packet) reply() Packet {
	return Packet{In: p.Out, Out: p.In, Src: p.Dst, Dst: p.Src, Proto: p.Proto, SrcPort: p.DstPort, DstPort: p.SrcPort}
}

// Owner is a program that writes rules.
type Owner struct {
	// Name is what the program calls itself: "ufw".
	Name string
	owns func(d *Drop) bool
	// admit returns the lines that let the packet pass.
	admit func(d *Drop, raw []string) []string
}

// owners are asked in order. Those that ban single addresses have chains of their own
// in whatever the others have made.
var owners = []Owner{
	{"fail2ban", func(d *Drop) bool { return d.in("f2b-") || d.Table == "f2b-table" }, fail2ban},
	{"CrowdSec", ownedByCrowdSec, crowdsec},
	{"ufw", func(d *Drop) bool { return d.in("ufw-", "ufw6-") }, ufw},
	{"firewalld", func(d *Drop) bool { return d.Table == "firewalld" }, firewalld},
	{"Kubernetes", func(d *Drop) bool { return d.in("KUBE-") || d.Table == "kube-proxy" }, kubernetes},
	{"Calico", func(d *Drop) bool { return d.in("cali-", "cali4-", "cali6-") || d.Table == "calico" }, calico},
	{"Cilium", func(d *Drop) bool { return d.in("CILIUM_") }, cilium},
	{"libvirt", func(d *Drop) bool { return d.in("LIBVIRT_") || d.Table == "libvirt_network" }, libvirt},
	{"Docker", ownedByDocker, docker},
}

// Of returns the program that the rule or the policy belongs to which dropped a packet,
// nil if it is none that is known. A policy belongs to the program whose chains the packet went
// through before it: it is they that did not accept the packet. A rule in a base chain
// belongs to the program only if it says so, since others add theirs there, too.
func Of(d *Drop) *Owner {
	i := slices.IndexFunc(owners, func(o Owner) bool { return o.owns(d) })
	if i < 0 {
		return nil
	}
	return &owners[i]
}

// Admit returns what to type so that the packet and its answers pass: commands, and
// lines that begin with "# " about those below them. raw are the commands that insert a
// rule by hand, for owners that have no words for it.
func (o *Owner) Admit(d *Drop, raw []string) []string { return o.admit(d, raw) }

// in reports whether a chain that has a say in the drop is called so.
func (d *Drop) in(prefixes ...string) bool {
	chains := d.Chains
	if d.Rule != "" && len(chains) > 0 {
		chains = chains[len(chains)-1:]
	}
	return slices.ContainsFunc(chains, func(c string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(c, p) })
	})
}

// last is the chain that decided.
func (d *Drop) last() string {
	if len(d.Chains) == 0 {
		return ""
	}
	return d.Chains[len(d.Chains)-1]
}

// iptables is the program for the family of the packet.
func (p Packet) iptables() string {
	if p.Src.Is6() {
		return "ip6tables"
	}
	return "iptables"
}

// protocol is the name that iptables, ufw and firewalld have for the packet's protocol.
func (p Packet) protocol() string {
	if p.Proto == probe.ProtoICMPv6 {
		return "ipv6-icmp"
	}
	return probe.ProtocolName(p.Proto)
}

// ports reports whether the packet's protocol has ports.
func (p Packet) ports() bool { return p.Proto == probe.ProtoTCP || p.Proto == probe.ProtoUDP }
