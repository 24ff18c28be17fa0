package evidence

import (
	"net/netip"
	"time"
)

// Traversal is what was seen of packets on one [Segment]. Counts are of all of
// them, everything else is of the latest.
type Traversal struct {
	Packets int `json:"packets,omitempty"` // that were followed
	// Packet is the latest as it was first seen: "udp 192.0.2.2:51821 >
	// 192.0.2.1:51820, 124 bytes".
	Packet string `json:"packet,omitempty"`
	// At is when the latest of them came by, DataAt the latest that is no message of
	// a handshake by its length.
	At     time.Time `json:"at,omitzero"`
	DataAt time.Time `json:"data_at,omitzero"`
	// Own are the same of those that are known to be the peer's, where anybody could have sent
	// others; nil if nobody has.
	Own *Times `json:"own,omitempty"`
	// Src and Dst are as the packet was first seen.
	Src netip.AddrPort `json:"src,omitzero"`
	Dst netip.AddrPort `json:"dst,omitzero"`
	// Whose is how it is known that it is the peer's, of an encrypted packet: by an index or
	// a message of the peer's, or not at all, where anybody could have sent it. "" if nobody
	// has looked.
	Whose Known `json:"whose,omitempty"`
	// Sender is the index of the latest initiation that anybody could have sent, 0 if it is none: the
	// recording of whoever made it has the same.
	Sender uint32 `json:"sender,omitempty"`
	// Peer is how people know the peer, "" if it is not known.
	Peer string `json:"peer,omitempty"`
	// In and Out are the links that it came in by and left by, "" for none.
	In  string `json:"in,omitempty"`
	Out string `json:"out,omitempty"`

	// Visits are what it met, in order; empty where only the end was asked for.
	// Incomplete says that some of that, or its end, was missed.
	Visits     []Visit `json:"visits,omitempty"`
	Incomplete bool    `json:"incomplete,omitempty"`

	// Drop is what dropped it, nil if netfilter did not.
	Drop *Drop `json:"drop,omitempty"`
	// KernelDrop is the latest that the kernel has dropped by its own account, nil if it
	// told of none.
	KernelDrop *KernelDrop `json:"kernel_drop,omitempty"`
	// Held is what has given it to a program, or to another part of the kernel, where
	// it is still; nil if nothing has.
	Held *Held `json:"held,omitempty"`
	// Lost is the hook after which it was seen no more: routing, the check of its
	// source, or the like has it. "" if it was not lost.
	Lost string `json:"lost,omitempty"`
	// Passed is the last hook that any packet passed whole, "" if none did.
	Passed string `json:"passed,omitempty"`
	// XfrmBlocks are what lets it go no further than it was seen, though netfilter
	// has not dropped it.
	XfrmBlocks []XfrmBlock `json:"xfrm_blocks,omitempty"`

	// Translated says how it was, "" if it was not: "source 10.0.0.1 to
	// 192.0.2.2".
	Translated string `json:"translated,omitempty"`
	// Changed is how it became another packet, "" if it did not:
	// translated, or with another mark. ChangedBy is the rule that did it, "" if
	// that is not known, and Spare are commands that leave such packets alone.
	Changed   string   `json:"changed,omitempty"`
	ChangedBy string   `json:"changed_by,omitempty"`
	Spare     []string `json:"spare,omitempty"`

	// Lowered says how a rule of this host has lowered its TTL; nil if none has.
	Lowered *Lowered `json:"lowered,omitempty"`

	// Route is where routing leads it.
	Route RouteDecision `json:"route,omitzero"`
	// Source is what its source means for it; nil if that was not looked up.
	Source *SourceCheck `json:"source,omitempty"`
	// Forwarding says whether the host forwards what comes in by In; nil if it
	// need not.
	Forwarding *Forwarding `json:"forwarding,omitempty"`
	// Conntrack is what connection tracking has of the flow, nil if nothing.
	Conntrack *Conntrack `json:"conntrack,omitempty"`
	// Untracked says that connection tracking does not know the packet; nil if it does, or if
	// that is not known.
	Untracked *Untracked `json:"untracked,omitempty"`
	// Proxy is whether this host answers for the packet's source where it leaves; nil if the
	// source is not of that link's network.
	Proxy *Proxy `json:"proxy,omitempty"`
}

// Times are when packets came by: the latest, and the latest that is no message of a handshake.
type Times struct {
	At     time.Time `json:"at"`
	DataAt time.Time `json:"data_at,omitzero"`
}

// Times are those of the packets that everything else is of: others that anybody could have sent
// came by later, perhaps.
func (t *Traversal) Times() Times {
	if t.Own != nil {
		return *t.Own
	}
	return Times{t.At, t.DataAt}
}

// Claimed reports whether anybody could have sent the packet.
func (t *Traversal) Claimed() bool { return t.Whose == Claimed }

// Add takes the traversal of one more packet on the same segment into account. How
// that ended counts only if it is known. A packet that anybody could have sent says nothing
// beside one that is the peer's.
func (t *Traversal) Add(next *Traversal) {
	was := *t
	switch {
	case next.Claimed() && was.Packets > 0 && !was.Claimed():
		t.Packets += next.Packets
		if t.Own == nil {
			t.Own = &Times{t.At, t.DataAt}
		}
		t.At = next.At
		if !next.DataAt.IsZero() {
			t.DataAt = next.DataAt
		}
		return
	case was.Claimed() && !next.Claimed():
		was = Traversal{Packets: was.Packets, DataAt: was.DataAt, KernelDrop: was.KernelDrop, Own: &Times{}}
	}
	*t = *next
	t.Packets += was.Packets
	t.KernelDrop = was.KernelDrop
	if was.Own != nil {
		t.Own = &Times{t.At, t.DataAt}
		if t.DataAt.IsZero() {
			t.Own.DataAt = was.Own.DataAt
		}
	}
	if t.DataAt.IsZero() {
		t.DataAt = was.DataAt
	}
	switch {
	case next.Drop != nil:
		t.Passed = was.Passed
	case next.Passed != "":
	case next.Lost != "" && !next.Incomplete:
		t.Passed = was.Passed
	default:
		t.Drop, t.Lost, t.Passed = was.Drop, was.Lost, was.Passed
	}
	if next.Passed == "" {
		t.Changed, t.ChangedBy, t.Spare = was.Changed, was.ChangedBy, was.Spare
		if t.Lowered == nil {
			t.Lowered = was.Lowered
		}
	}
	if t.Route.Kind == RouteUnknown {
		t.Route = was.Route
	}
	if t.Source == nil {
		t.Source = was.Source
	}
	if t.Forwarding == nil {
		t.Forwarding = was.Forwarding
	}
	if t.Conntrack == nil {
		t.Conntrack = was.Conntrack
	}
	if t.Proxy == nil {
		t.Proxy = was.Proxy
	}
}

// Untracked is why connection tracking does not know a packet.
type Untracked struct {
	State string `json:"state"`        // "untracked" by a rule, or "invalid": of no connection
	By    string `json:"by,omitempty"` // the rule, "" if that is not known
	// Spare are commands that have such packets tracked.
	Spare []string `json:"spare,omitempty"`
}

// Lowered is a TTL (of IPv6 the hop limit) that a rule has lowered.
type Lowered struct {
	From int    `json:"from"` // as the packet came
	To   int    `json:"to"`
	By   string `json:"by,omitempty"` // the rule, "" if that is not known
	// Spare are commands that leave such packets alone.
	Spare []string `json:"spare,omitempty"`
}

// Visit is what a packet met in one base chain.
type Visit struct {
	Hook    string `json:"hook"`
	Chain   string `json:"chain"`   // as in [Drop]
	Verdict string `json:"verdict"` // the last: "accept", "policy drop"
	// Lines are where the packet was changed, the rules that matched, and the policy.
	Lines []string `json:"lines,omitempty"`
}

// Held is what a rule or policy did with a packet instead of dropping it.
type Held struct {
	Hook string `json:"hook"`
	By   string `json:"by"`  // the rule or the policy, with its chain
	How  string `json:"how"` // "queued" or "taken"
}

// Drop is what netfilter dropped a packet with.
type Drop struct {
	Hook string `json:"hook"` // "input"
	// Chain is the base chain with its table and hook: "inet filter input (filter hook
	// input priority 0, policy drop)".
	Chain string `json:"chain"`
	// Rule is the text of the rule, with its handle; "" if it was the policy.
	Rule   string `json:"rule,omitempty"`
	Reject bool   `json:"reject,omitempty"` // the sender was sent an error
	Data   bool   `json:"data,omitempty"`   // of an encrypted packet: it is no message of a handshake
	Packet string `json:"packet"`           // what was dropped: "udp 192.0.2.1:51820 > 192.0.2.2:51820"
	// Owner is the program that writes the rules of the chain, such as "ufw"; "" if it is
	// none that is known.
	Owner string `json:"owner,omitempty"`
	// Fix are commands that let such packets pass, and comments, which begin with "# ".
	Fix []string `json:"fix,omitempty"`
}

// By says who dropped a packet, for summaries.
func (d *Drop) By() string {
	verb := "drops"
	if d.Reject {
		verb = "rejects"
	}
	if d.Rule == "" {
		return "the policy of chain " + d.Chain + " " + verb
	}
	return "a rule of chain " + d.Chain + " " + verb
}

// Evidence is what was seen of the drop, and decides.
func (d *Drop) Evidence() []Line {
	what := "rule: " + d.Rule
	if d.Rule == "" {
		what = "no rule accepted it, and the policy is drop"
	}
	lines := []Line{Kernel.Decides("netfilter trace: %s was dropped in %s", d.Packet, d.Chain), Kernel.Says("%s", what)}
	if d.Owner != "" {
		lines = append(lines, Kernel.Says("the names of its tables, chains or sets are those of %s", d.Owner))
	}
	return lines
}

// XfrmBlock is a policy of IPsec on this host that blocks packets.
type XfrmBlock struct {
	Text string `json:"text"` // "IPsec policy src ..."
	Fix  string `json:"fix"`  // the command that takes it away
}

// Conntrack is what connection tracking has of a flow.
type Conntrack struct {
	Text      string `json:"text"`
	Unreplied bool   `json:"unreplied,omitempty"`
	SNAT      bool   `json:"snat,omitempty"`
}
