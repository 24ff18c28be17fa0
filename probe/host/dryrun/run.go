//go:build linux

package dryrun

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// Rules is this host's ruleset, to be tried with packets. It belongs to one goroutine.
type Rules struct {
	program *netfilter.Program
	conn    *nftables.Conn // for sets, which are read when a rule asks for them
	sets    map[setName]*set
}

// Read reads the ruleset, in the network namespace of the calling thread, in which Run is to
// be called as well.
func Read() (*Rules, error) {
	p, err := netfilter.ReadProgram()
	if err != nil {
		return nil, err
	}
	c, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open nfnetlink: %w", err)
	}
	return &Rules{program: p, conn: c, sets: make(map[setName]*set)}, nil
}

// Generation is the number of the ruleset that was read.
func (r *Rules) Generation() uint32 { return r.program.Generation }

// Outcome is how a run ends.
type Outcome uint8

// The outcomes.
const (
	Passed Outcome = iota
	Dropped
	Unknown // it may be dropped, and may not be
)

// End is how a packet's run through a hook ends.
type End struct {
	Outcome Outcome
	// Chain is the base chain in which the packet is dropped, or may be.
	Chain netfilter.Chain
	// Chains are the chains that the packet was in, in order, from the base chain on; the
	// last is the one that decides. Handle is its rule's, 0 if that is the policy.
	Chains []string
	Handle uint64
	// Why is what is not known, where the outcome is Unknown: the name of the kernel's
	// expression, or of iptables' match.
	Why string
	// Translated says that a chain of type nat translates it, or may do so.
	Translated bool
	// Unsure says of one that is dropped that it may be so in an earlier chain already.
	Unsure bool
}

// maxSteps bounds how many rules a packet meets in one chain and those that it calls.
const maxSteps = 100000

// Run takes a packet through the chains of a hook, in their order, but for those in but:
// which it is known to pass. The packet's mark is changed as the rules change it.
func (r *Rules) Run(hook netfilter.Hook, p *Packet, but ...netfilter.Chain) End {
	unknown, translated := End{}, false
	for _, base := range r.program.At(hook, p.is4()) {
		if slices.ContainsFunc(but, func(c netfilter.Chain) bool { return same(c, base) }) {
			continue
		}
		if base.Type == "nat" && (p.Reply || p.State == netfilter.Established || p.State == netfilter.Related) {
			continue // the kernel asks these for the first packet only
		}
		e := r.base(base, p)
		translated = translated || e.Translated
		switch {
		case e.Outcome == Dropped:
			e.Translated, e.Unsure = translated, unknown.Outcome == Unknown
			return e
		case e.Outcome == Unknown && unknown.Outcome == Passed:
			unknown = e
		}
	}
	unknown.Translated = translated
	return unknown
}

func same(a, b netfilter.Chain) bool {
	return a.Name == b.Name && a.Table.Family == b.Table.Family && a.Table.Name == b.Table.Name
}

// base runs one base chain.
func (r *Rules) base(c netfilter.Chain, p *Packet) End {
	m := &machine{rules: r, base: c, packet: p, network: p.network(), transport: p.transport()}
	end := m.chain(c.Name, true, 0)
	if end == fell {
		if n := len(m.path); n == 0 || m.path[n-1] != c.Name {
			m.path = append(m.path, c.Name)
		}
		m.decide(0)
		if end = accepted; c.Drops {
			end = dropped
		}
	}
	e := End{Chain: c, Chains: m.decided.chains, Handle: m.decided.handle, Translated: m.translated}
	switch {
	case m.steps > maxSteps:
		e.Outcome, e.Why = Unknown, "too many rules"
	case end == dropped && m.perhapsAccepted == nil:
		e.Outcome = Dropped
	case end == dropped:
		e.Outcome, e.Why = Unknown, m.perhapsAccepted.why
	case m.perhapsDropped != nil:
		d := m.perhapsDropped
		e.Outcome, e.Chains, e.Handle, e.Why = Unknown, d.chains, d.handle, d.why
	}
	return e
}

// machine runs one base chain, and what it calls.
type machine struct {
	rules              *Rules
	base               netfilter.Chain
	packet             *Packet
	network, transport header
	translated         bool
	steps              int
	path               []string // the chains that the packet was in

	// What decides, and what might have before.
	decided                         decision
	perhapsAccepted, perhapsDropped *decision
}

type decision struct {
	chains []string
	handle uint64
	why    string
}

func (m *machine) decide(handle uint64) {
	m.decided = decision{chains: slices.Clone(m.path), handle: handle}
}

// perhaps notes what may end the run here, the first of a kind.
func (m *machine) perhaps(d **decision, handle uint64, why string) {
	if *d == nil {
		*d = &decision{slices.Clone(m.path), handle, why}
	}
}

// ending is how a chain ends.
type ending uint8

const (
	fell ending = iota // at its end, or by return
	accepted
	dropped
)

// maxDepth is how deep the kernel lets chains call chains (NFT_JUMP_STACK_SIZE).
const maxDepth = 16

// chain runs a chain. What it does counts if it is sure that the packet is there; otherwise
// it is only noted, and the chain falls.
func (m *machine) chain(name string, sure bool, depth int) ending {
	if depth > maxDepth {
		return fell
	}
	key := netfilter.ChainName{Family: m.base.Table.Family, Table: m.base.Table.Name, Name: name}
	why := "" // what has made it unsure
	for _, s := range m.rules.program.Rules[key] {
		if m.steps++; m.steps > maxSteps {
			return fell
		}
		r := m.rule(s, sure)
		if r.fits == no {
			continue
		}
		if n := len(m.path); n == 0 || m.path[n-1] != name {
			m.path = append(m.path, name)
		}
		r.why = cmp.Or(r.why, why)
		here := sure && r.fits == yes
		for _, v := range r.verdicts {
			end, over := m.verdict(s.Handle, v, here && len(r.verdicts) == 1, r.why, depth)
			if here && end != fell {
				return end
			}
			if over && r.fits == yes && len(r.verdicts) == 1 {
				return fell
			}
			if over && v.Kind != expr.VerdictAccept && v.Kind != expr.VerdictDrop {
				sure, why = false, r.why // it may have gone back already
			}
		}
	}
	return fell
}

// verdict carries out what a rule says. It reports how that ends, and whether the rest of the
// chain is not run.
func (m *machine) verdict(handle uint64, v expr.Verdict, sure bool, why string, depth int) (end ending, over bool) {
	switch v.Kind {
	case expr.VerdictAccept, expr.VerdictStop:
		if !sure {
			m.perhaps(&m.perhapsAccepted, handle, why)
			return fell, true
		}
		m.decide(handle)
		return accepted, true
	case expr.VerdictDrop:
		if !sure {
			m.perhaps(&m.perhapsDropped, handle, why)
			return fell, true
		}
		m.decide(handle)
		return dropped, true
	case expr.VerdictJump:
		return m.chain(v.Chain, sure, depth+1), false
	case expr.VerdictGoto:
		return m.chain(v.Chain, sure, depth+1), true
	case expr.VerdictReturn:
		return fell, true
	case expr.VerdictQueue, expr.VerdictStolen, expr.VerdictRepeat: // a program says
		m.perhaps(&m.perhapsDropped, handle, "queue")
		m.perhaps(&m.perhapsAccepted, handle, "queue")
		return fell, true
	}
	return fell, false
}
