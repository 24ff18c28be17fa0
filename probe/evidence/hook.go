package evidence

// HookKind is what kind of thing a [Hook] is.
type HookKind string

// The kinds.
const (
	HookXDP           HookKind = "xdp"
	HookTCIngress     HookKind = "tc ingress"
	HookTCEgress      HookKind = "tc egress"
	HookCgroupIngress HookKind = "cgroup ingress"
	HookCgroupEgress  HookKind = "cgroup egress"
	HookNetfilter     HookKind = "netfilter" // a BPF program at a hook of netfilter's
	HookLegacy        HookKind = "legacy"    // a table of legacy iptables that has rules
	HookConntrack     HookKind = "conntrack" // the connection tracking table, if it is full
	HookQueues        HookKind = "queues"    // the queues (NFQUEUE) that programs read
)

// Hook is something on the way of packets through this host that may drop them, and that
// netfilter's trace does not show. That it is there says nothing of what it does.
type Hook struct {
	Kind   HookKind `json:"kind"`
	Device string   `json:"device,omitempty"` // that it is at, "" if at none
	Family string   `json:"family,omitempty"` // "ip" or "ip6" if it has packets of one alone
	Own    bool     `json:"own,omitempty"`    // of a cgroup that this program is in
	Text   string   `json:"text"`             // "tcx program wgnode_lab (id 12) at the ingress of eth0"
	Show   string   `json:"show"`             // the command that shows it
	// Remove is the command that takes it away, "" if that is not one.
	Remove string `json:"remove,omitempty"`
}
