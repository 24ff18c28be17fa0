package netfilter

import (
	"fmt"
	"net/netip"
	"time"
)

// Packet is the walk of one packet through the hooks of this host. One that is
// sent to this host itself makes two walks: out and in.
type Packet struct {
	// Match is the place of the Match that selected it in Config.Matches.
	Match int
	// Time is when the walk's first event was read, which may be later than it
	// happened.
	Time time.Time
	// Start is the hook where the walk began: Prerouting or Output. End is where
	// it ended, if it passed all chains up to there: Input or Postrouting, else
	// HookUnknown.
	Start, End Hook
	// First and Last are its headers as it came and as they were last seen.
	First, Last Header
	// Visits are the base chains that it met, in order.
	Visits []Visit
	// Translations are how it was translated, in order.
	Translations []Translation
	// Incomplete says that events were lost while this was recorded, so that
	// visits and steps may be missing. Those that are here are true.
	Incomplete bool
}

// Header is what was recorded of a packet at the beginning of a base chain.
type Header struct {
	Src, Dst netip.Addr
	Proto    uint8 // of IPv6: the next header, an extension's perhaps
	// SrcPort and DstPort are set for TCP, UDP, UDP-Lite, SCTP and DCCP.
	SrcPort, DstPort uint16
	TCPFlags         uint8 // the byte of the TCP header that has SYN, ACK and the like
	// ICMPType and ICMPCode are for ICMP and ICMPv6, ICMPID is for echo.
	ICMPType, ICMPCode uint8
	ICMPID             uint16
	// Data are the first bytes of a UDP datagram's content, by which messages of
	// WireGuard tell what they are and whose; zero where there are none.
	Data   [12]byte
	TTL    uint8  // or hop limit; 0 if it is not known
	Length uint16 // of the packet with its headers, in bytes
	// Fragment says that it is a fragment, so that it may go on as a part of a
	// packet put together again.
	Fragment bool
	// In and Out are interface indices, zero where there is none (yet).
	In, Out uint32
	Mark    uint32
	// Conntrack is what connection tracking said of the packet at that place.
	Conntrack Conntrack
}

// Conntrack is the state of a packet's connection. Kernels older than 6.17 do
// not tell it with the trace: then Known is false.
type Conntrack struct {
	Known bool
	// State has one of the bits of nft's "ct state", and is zero where
	// connection tracking has not seen the packet yet.
	State State
	// ID is that of the entry, see package conntrack; Reply says that the
	// packet goes the way of replies.
	ID    uint32
	Reply bool
}

// State is a set of states as in nft's "ct state"
// (enum nft_ct_state_bit: linux/netfilter/nf_conntrack_common.h).
type State uint32

// The states.
const (
	Invalid     State = 1 << 0
	Established State = 1 << 1
	Related     State = 1 << 2
	New         State = 1 << 3
	Untracked   State = 1 << 6
)

// String returns the words of nft.
func (s State) String() string {
	switch s {
	case Invalid:
		return "invalid"
	case Established:
		return "established"
	case Related:
		return "related"
	case New:
		return "new"
	case Untracked:
		return "untracked"
	}
	return "unknown"
}

// Visit is what happened to a packet in one base chain and the chains that were
// called from there.
type Visit struct {
	Chain Chain
	// Header is the packet as it entered.
	Header Header
	Steps  []Step // at least one
}

// Step is one event: a rule that matched, the end of a chain that was jumped
// to, or the base chain's policy.
type Step struct {
	Kind StepKind
	// Chain is the name of the chain, of the visit's table.
	Chain string
	// Handle is the rule's, see [Tracer.Rule]. Zero unless Kind is RuleStep.
	Handle  uint64
	Verdict Verdict
	// Mark is the packet's firewall mark after the step.
	Mark uint32
}

// StepKind tells steps apart.
type StepKind uint8

// The kinds of steps.
const (
	RuleStep   StepKind = iota // a rule matched
	EndStep                    // a chain ended without a verdict, or the walk returns from it
	PolicyStep                 // the base chain's policy was applied
)

// Verdict is what a rule or policy decided.
type Verdict struct {
	Action Action
	Chain  string // for Jump and Goto: where to
	Queue  uint16 // for Queue: which
}

// String returns the words of nft: "drop", "jump global".
func (v Verdict) String() string {
	switch v.Action {
	case Jump, Goto:
		return v.Action.String() + " " + v.Chain
	case Queue:
		return fmt.Sprintf("queue to %d", v.Queue)
	}
	return v.Action.String()
}

// Action is the kind of a verdict.
type Action uint8

// The actions. Drop is the verdict of reject, too.
const (
	ActionUnknown Action = iota
	Accept
	Drop
	Continue
	Jump
	Goto
	Return
	Queue
	Stolen // another part of the kernel took the packet
)

var actionNames = [...]string{"unknown", "accept", "drop", "continue", "jump", "goto", "return", "queue", "stolen"}

// String returns nft's word.
func (a Action) String() string { return actionNames[a] }

// Outcome is how a walk ended.
type Outcome uint8

// The outcomes. What netfilter lets pass may still be dropped later, by other
// parts of the kernel.
const (
	// Lost: no rule dropped it, and yet it did not come to the end of input or
	// postrouting. Routing, a reverse path filter or disabled forwarding does
	// that, after prerouting as a rule.
	Lost Outcome = iota
	Dropped
	Queued // to a program, which has not answered yet
	Taken  // another part of the kernel took it
	Passed // all chains of input, or of postrouting
)

var outcomeNames = [...]string{"lost", "dropped", "queued", "taken", "passed"}

// String returns a word for the outcome.
func (o Outcome) String() string { return outcomeNames[o] }

// Fate is what became of a packet.
type Fate struct {
	Outcome Outcome
	// Hook is where it was seen last. Hooks without chains do not see it.
	Hook Hook
	// Chain and Step are who decided, if Outcome is Dropped, Queued or Taken.
	Chain Chain
	Step  Step
}

// String says it in words: "dropped by inet filter input, handle 7",
// "dropped by the policy of inet filter input", "lost after prerouting",
// "passed postrouting".
func (f Fate) String() string {
	switch {
	case f.Outcome == Passed:
		return fmt.Sprintf("passed %v", f.Hook)
	case f.Outcome == Lost:
		return fmt.Sprintf("lost after %v", f.Hook)
	case f.Step.Kind == PolicyStep:
		return fmt.Sprintf("%v by the policy of %v", f.Outcome, f.Chain)
	}
	return fmt.Sprintf("%v by %v %s, handle %d", f.Outcome, f.Chain.Table, f.Step.Chain, f.Step.Handle)
}

// Fate sums the walk up.
func (p *Packet) Fate() Fate {
	if p.End != HookUnknown {
		return Fate{Outcome: Passed, Hook: p.End}
	}
	f := Fate{Outcome: Lost, Hook: p.Start}
	if len(p.Visits) == 0 {
		return f
	}
	v := p.Visits[len(p.Visits)-1]
	if v.Chain.Hook != HookUnknown {
		f.Hook = v.Chain.Hook
	}
	step := v.Steps[len(v.Steps)-1]
	switch step.Verdict.Action {
	case Drop:
		f.Outcome = Dropped
	case Queue:
		f.Outcome = Queued
	case Stolen:
		f.Outcome = Taken
	default:
		return f
	}
	f.Chain, f.Step = v.Chain, step
	return f
}

// Translation is a change of addresses or ports, or of an ICMP echo's
// identifier, on the way. Only a connection's first packet passes the rules that
// say so (chains of type nat); the others are translated likewise between two
// chains.
type Translation struct {
	// Hook is where the packet was when it was first seen changed.
	Hook     Hook
	From, To Header
}

// saw notes the packet's headers in a hook.
func (p *Packet) saw(h Hook, now Header) {
	was := p.Last
	if now.Src.IsValid() && (was.Source() != now.Source() || was.Destination() != now.Destination() || was.ICMPID != now.ICMPID) {
		p.Translations = append(p.Translations, Translation{Hook: h, From: was, To: now})
	}
	p.Last = now
}

// Payload returns the length in bytes of the content of a UDP datagram that has
// neither IP options nor extension headers.
func (h Header) Payload() int {
	if h.Src.Is4() {
		return int(h.Length) - 20 - 8
	}
	return int(h.Length) - 40 - 8
}

// Source returns source and port.
func (h Header) Source() netip.AddrPort { return netip.AddrPortFrom(h.Src, h.SrcPort) }

// Destination returns destination and port.
func (h Header) Destination() netip.AddrPort { return netip.AddrPortFrom(h.Dst, h.DstPort) }
