package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Stretch is a part of the way that a flow's packets take through this host's
// kernel, outside of the tunnel.
type Stretch int

// The stretches.
const (
	ToTunnel   Stretch = iota // inner packets, from here or a network, into the tunnel
	ToWire                    // encrypted packets, from the tunnel's socket
	FromWire                  // encrypted packets, to the tunnel's socket
	FromTunnel                // inner packets, out of the tunnel to here or a network
	stretches
)

// Kernel is what was seen of a flow's packets in this host's kernel.
type Kernel struct {
	// Blind is why netfilter could not be watched, "" if it was.
	Blind string
	// Limits are what may have happened unseen, one sentence each, such as that
	// rules of legacy iptables are not traced.
	Limits []string
	// Lost is how many events of the trace were lost because they were not read
	// in time.
	Lost uint64
	// WireOnly: nobody looked at what is inside the tunnel.
	WireOnly bool
	Passages [stretches]Passage
}

// Passage is what was seen of the packets on one stretch.
type Passage struct {
	Packets int // that were followed
	// At is when the latest of them came by, DataAt the latest that is no message of a
	// handshake by its length.
	At, DataAt time.Time
	// Drop is what dropped the latest packet, nil if netfilter did not.
	Drop *Drop
	// Lost is the hook after which the latest packet was seen no more: routing,
	// the check of its source, or the like has it. "" if none was lost.
	Lost string
	// Passed is the last hook that any packet passed whole, "" if none did.
	Passed string
	// Refusals are what lets the latest packet go no further than it was seen, though
	// netfilter has not dropped it.
	Refusals []Refusal
	// Src and Dst are the latest packet's, when it was first seen.
	Src, Dst netip.AddrPort
	// In and Out are the links that it came in by and left by, "" for none.
	In, Out string
	// Translated says how it was, "" if it was not: "source 10.0.0.1 to
	// 192.0.2.2".
	Translated string
	// Changed is how it became another packet on the way, "" if it did not:
	// translated, or with another mark. By is the rule that did it, "" if that is
	// not known, and Spare are commands that leave such packets alone.
	Changed string
	By      string
	Spare   []string

	// Way is where routing leads the packets.
	Way Route
	// Source tells whether their source has them dropped; nil if nobody looked.
	Source *SourceCheck
	// Forwarding tells whether the host forwards what comes in by In; nil if it
	// need not.
	Forwarding *Forwarding
	// NextHop tells of the neighbour that must take them; nil if there is none.
	NextHop *NextHop
	// Conntrack is what connection tracking has of the flow, nil if nothing.
	Conntrack *Conntrack
}

// Drop is what netfilter dropped a packet with.
type Drop struct {
	Hook  string // "input"
	Chain string // with table and hook: "inet filter input (filter hook input priority 0, policy drop)"
	// Rule is the text of the rule, with its handle; "" if it was the policy.
	Rule   string
	Reject bool     // the rule tells the sender
	Data   bool     // of an encrypted packet: it is no message of a handshake
	Packet string   // what was dropped: "udp 192.0.2.1:51820 > 192.0.2.2:51820"
	Fix    []string // commands that let such packets pass
}

// SourceCheck is what rp_filter and the like make of a source.
type SourceCheck struct {
	Drops    bool
	Evidence []string
	Fix      []string
	Back     Route // the way to the source; not known if Kind is RouteUnknown
}

// Forwarding is whether the host forwards.
type Forwarding struct {
	On       bool
	Evidence string
	Fix      []string
}

// NextHop is the neighbour that must take packets on a link.
type NextHop struct {
	Unreachable bool // it was asked for and does not answer
	Evidence    string
	Addr        netip.Addr
	Link        string
}

// Conntrack is what connection tracking has of a flow.
type Conntrack struct {
	Text      string
	Unreplied bool
	SNAT      bool
}

// passage returns what was seen on a stretch; nothing where nobody looked.
func (f *Facts) passage(s Stretch) *Passage {
	if f.Kernel == nil {
		return &Passage{}
	}
	return &f.Kernel.Passages[s]
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

// evidence is what was seen of the drop.
func (d *Drop) evidence() []string {
	what := "rule: " + d.Rule
	if d.Rule == "" {
		what = "no rule accepted it, and the policy is drop"
	}
	return []string{fmt.Sprintf("netfilter trace: %s was dropped in %s", d.Packet, d.Chain), what}
}

// traced reports whether packets are followed on their way through netfilter.
func (f *Facts) traced() bool { return f.Kernel != nil && f.Kernel.Blind == "" }

// refusal is a verdict for what says no before netfilter sees a packet: either what
// is known to, or what may.
func refusal(v Verdict, known []Refusal, hook string) Verdict {
	v.Evidence = append(v.Evidence, "netfilter trace: no packet came as far as the "+hook+" hook, so that no rule has dropped it")
	v.Certain, v.Fix = len(known) > 0, nil
	for _, r := range known {
		v.Evidence = append(v.Evidence, r.Text)
		v.Fix = append(v.Fix, r.Fix)
	}
	if !v.Certain {
		v.Candidates = []Candidate{
			{v.Code, "ip xfrm policy: does a policy of IPsec block it?"},
			{v.Code, "bpftool cgroup tree: does a program of a control group refuse to send?"}}
		v.Fix = []string{"ip xfrm policy"}
	}
	return v
}

// blind adds to a verdict that is not certain what could not be seen.
func (f *Facts) blind(v *Verdict) {
	if f.Kernel == nil {
		return
	}
	if f.Kernel.Blind != "" {
		v.Evidence = append(v.Evidence, "what netfilter does here is not known: "+f.Kernel.Blind)
	}
	v.Evidence = append(v.Evidence, f.Kernel.Missed()...)
}

// Missed says what may have happened unseen, although packets were followed.
func (k *Kernel) Missed() []string {
	if k.Lost == 0 {
		return k.Limits
	}
	return append(slices.Clone(k.Limits), fmt.Sprintf("%d trace events were lost", k.Lost))
}
