package netfilter

import "fmt"

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

// HookNamed is the hook of that name, HookUnknown if there is none.
func HookNamed(name string) Hook {
	for h, n := range hookNames {
		if n == name {
			return Hook(h)
		}
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

// Rule is a rule of the firewall, as it is in the kernel.
type Rule struct {
	Table  Table
	Chain  string
	Handle uint64
	// Position counts from 1 within the chain.
	Position int
	// Reject says that the rule answers what it drops.
	Reject bool
	// Text is the rule in the language of Program, without its counters. If
	// the text could not be had it is "", and NoText says why.
	Text string
	// Program is "nft", "iptables" or "ip6tables".
	Program string
	NoText  string
}

// String returns "inet filter input handle 7: tcp dport 80 drop".
func (r Rule) String() string { return r.Table.String() + " " + r.InTable() }

// InTable returns String without the table: "input handle 7: tcp dport 80 drop".
func (r Rule) InTable() string {
	text := r.Text
	if text == "" {
		text = "rule text unknown: " + r.NoText
	}
	return fmt.Sprintf("%s handle %d: %s", r.Chain, r.Handle, text)
}
