package evidence

import (
	"fmt"
	"net/netip"
	"time"
)

// KernelDrop is a packet that the kernel has dropped, by its own account (the tracepoint
// kfree_skb): also where netfilter's trace shows nothing.
type KernelDrop struct {
	At     time.Time `json:"at"`              // of the latest
	Count  int       `json:"count"`           // how many were seen
	Reason string    `json:"reason"`          // the kernel's: "TC_EGRESS"
	Place  string    `json:"place,omitempty"` // the function that dropped it: "__dev_queue_xmit"
	// Hook is the part of the path that it was on: "ingress", "prerouting", "input",
	// "forward", "output", "postrouting" or "egress"; "" if that is not known.
	Hook   string `json:"hook,omitempty"`
	Device string `json:"device,omitempty"` // "" if it was at none
	Socket bool   `json:"socket,omitempty"` // it was to be received by a socket
	// Hint says that this reason at this place does not prove that anything is wrong.
	Hint bool `json:"hint,omitempty"`
	// Usual says of a hint that connections that work have it, too: TCP drops copies of what it has
	// and what comes late.
	Usual bool `json:"usual,omitempty"`
	// Claimed says that anybody could have sent such a packet: it is an encrypted one that
	// has no index of ours.
	Claimed bool `json:"claimed,omitempty"`
	// Sender is the sender's index of an encrypted initiation: who sent it knows it.
	Sender uint32 `json:"sender,omitempty"`
	// Data says of encrypted packets that there were some that are no message of a handshake.
	Data bool `json:"data,omitempty"`

	Src netip.AddrPort `json:"src"`
	Dst netip.AddrPort `json:"dst"`
	// Tables is what this host's tables and settings say of what routing has refused, and Fix
	// the commands that have it taken; empty where nothing was found there.
	Tables []string `json:"tables,omitempty"`
	Fix    []string `json:"fix,omitempty"`
	// Named is the rule of nftables that did it, found by elimination where the trace has not
	// shown it; nil if that is not known.
	Named  *Drop  `json:"named,omitempty"`
	Packet string `json:"packet"` // "tcp 10.0.0.1:40000 > 192.168.200.22:80, 60 bytes"
}

// OfRouting reports whether routing has refused the packet, for its destination or its
// source. What the tables make of it says more.
func (d *KernelDrop) OfRouting() bool {
	if d == nil || d.Hint {
		return false
	}
	switch d.Reason {
	case "IP_RPFILTER", "IP_LOCAL_SOURCE", "IP_INADDRERRORS", "IP_INNOROUTES":
		return true
	case "NOT_SPECIFIED":
		return d.Place == "ip_error" || d.Place == "dst_discard_out" || d.Place == "dst_discard"
	}
	return false
}

// NextHopSilent reports whether the packet has waited for the address of its next hop on the link,
// and that has not answered.
func (d *KernelDrop) NextHopSilent() bool {
	return d != nil && !d.Hint && d.Reason == "NEIGH_FAILED"
}

// Where is the reason, and where it was: "TC_EGRESS in __dev_queue_xmit, at wg0".
func (d *KernelDrop) Where() string {
	where := d.Reason
	if d.Place != "" {
		where += " in " + d.Place
	}
	if d.Device != "" {
		where += ", at " + d.Device
	}
	return where
}

// String is for evidence.
func (d *KernelDrop) String() string {
	return fmt.Sprintf("the kernel dropped %s: %s", d.Packet, d.Where())
}

// Hinted says what a drop may mean that proves nothing of this host, "" if there is none or it
// proves something, or if the connection works and such a drop is usual.
func (t *Traversal) Hinted(works bool) string {
	switch {
	case t == nil || t.KernelDrop == nil, works && t.KernelDrop.Usual:
		return ""
	case t.KernelDrop.Usual:
		return t.KernelDrop.String() + "; connections that work have that, too"
	case t.KernelDrop.NextHopSilent():
		return t.KernelDrop.String() + "; its next hop on the link does not answer"
	case !t.KernelDrop.Hint:
		return ""
	}
	return t.KernelDrop.String() + "; that alone does not prove that anything is wrong"
}

// AddDrop takes one more into account. One that proves something counts more than a later
// hint, or one that may be anybody's, and every hint more than one that is usual. What is
// anybody's is not counted with what is not.
func (t *Traversal) AddDrop(next KernelDrop) {
	was := t.KernelDrop
	if was != nil && (!was.Hint && (next.Hint || next.Claimed && !was.Claimed) || !was.Usual && next.Usual) {
		return
	}
	if was != nil && was.Reason == next.Reason && was.Place == next.Place && was.Claimed == next.Claimed {
		next.Count += was.Count
		next.Data = next.Data || was.Data // where data was lost, what was lost is more than a handshake
	}
	t.KernelDrop = &next
}
