//go:build linux

package netfilter

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Hook is a place in the kernel's packet path where chains are called.
type Hook uint8

// The hooks of the families ip, ip6 and inet, and those of single devices.
const (
	HookUnknown Hook = iota
	Prerouting
	Input
	Forward
	Output
	Postrouting
	Ingress
	Egress
)

var hookNames = [...]string{"unknown", "prerouting", "input", "forward", "output", "postrouting", "ingress", "egress"}

// String returns nft's word for the hook.
func (h Hook) String() string { return hookNames[h] }

// hookOf translates the number that a hook has in a table of the family
// (linux/netfilter.h).
func hookOf(family uint8, number uint32) Hook {
	switch {
	case family == unix.NFPROTO_NETDEV && number < 2:
		return Ingress + Hook(number)
	case family == unix.NFPROTO_INET && number == unix.NF_INET_NUMHOOKS: // NF_INET_INGRESS
		return Ingress
	case (family == unix.NFPROTO_IPV4 || family == unix.NFPROTO_IPV6 || family == unix.NFPROTO_INET ||
		family == unix.NFPROTO_BRIDGE) && number < unix.NF_INET_NUMHOOKS:
		return Prerouting + Hook(number)
	}
	return HookUnknown
}

// Table is a table of nf_tables.
type Table struct {
	Family string // "ip", "ip6", "inet", "bridge", "arp" or "netdev"
	Name   string
	// Handle tells the table from another of the same name that takes its
	// place, as when a firewall is reloaded. Zero if not known.
	Handle uint64
}

// String returns "inet filter".
func (t Table) String() string { return t.Family + " " + t.Name }

// Chain is a base chain: one that is called from a hook.
type Chain struct {
	Table Table
	Name  string
	// The rest is the zero value for a chain that was not there when the
	// ruleset was last looked at.

	Type     string // "filter", "nat" or "route"
	Hook     Hook
	Priority int32
	Drops    bool // its policy is drop
	// Devices are those whose hooks call it, for hooks of devices. A name that
	// ends in * is for all that begin so.
	Devices []string
}

// String returns "inet filter input".
func (c Chain) String() string { return c.Table.String() + " " + c.Name }

// Describe returns "inet filter input (filter hook input priority 0, policy
// drop)".
func (c Chain) Describe() string {
	if c.Hook == HookUnknown {
		return c.String()
	}
	policy := "accept"
	if c.Drops {
		policy = "drop"
	}
	return fmt.Sprintf("%v (%s hook %v priority %d, policy %s)", c, c.Type, c.Hook, c.Priority, policy)
}
