//go:build linux

package observe

import (
	"fmt"
	"strings"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/host/owner"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// Ports reports whether a port stands for a service. Others are chosen for one
// connection, so that a command which names them does not help the next one.
type Ports func(port uint16) bool

// Traversal returns how the packet came through netfilter: what it was, and how that
// ended. What it met is in [Packet.Met], and what routing makes of it is asked for
// with [Packet.Arrive]. Commands that let such packets pass name the ports of
// services; without them there are none.
func (p *Packet) Traversal(services Ports) evidence.Traversal {
	t := evidence.Traversal{Packets: 1, At: p.Time, Packet: fmt.Sprintf("%s, %d bytes", describe(p.First), p.First.Length),
		Src: p.First.Source(), Dst: p.First.Destination(), In: routing.LinkName(p.First.In), Out: routing.LinkName(p.Last.Out),
		Translated: strings.Join(changes(p.First, p.Last), ", "), Incomplete: p.Incomplete}
	if !handshake(p.First) {
		t.DataAt = t.At
	}
	fate := p.Fate()
	switch fate.Outcome {
	case netfilter.Dropped:
		t.Drop = p.drop(fate, services)
	case netfilter.Passed:
		t.Passed = fate.Hook.String()
	case netfilter.Lost:
		if !p.First.Fragment {
			t.Lost = fate.Hook.String()
		}
	case netfilter.Queued, netfilter.Taken:
		t.Held = &evidence.Held{Hook: fate.Hook.String(), By: "the policy of " + fate.Chain.Describe(), How: fate.Outcome.String()}
		if fate.Step.Kind == netfilter.RuleStep {
			t.Held.By = p.rule(fate.Chain, fate.Step).String()
		}
	}
	return t
}

// drop says what dropped the packet.
func (p *Packet) drop(fate netfilter.Fate, services Ports) *evidence.Drop {
	h := p.First
	d := &evidence.Drop{Hook: fate.Hook.String(), Chain: fate.Chain.Describe(), Data: h.Proto == probe.ProtoUDP && !handshake(h),
		Packet: fmt.Sprintf("%s %s > %s", probe.ProtocolName(h.Proto), h.Source(), h.Destination())}
	rule := netfilter.Rule{Table: fate.Chain.Table, Chain: fate.Chain.Name, Program: "nft"}
	if fate.Step.Kind == netfilter.RuleStep {
		rule = p.rule(fate.Chain, fate.Step)
		d.Rule, d.Reject = rule.String(), rule.Reject
	}
	at := p.at(len(p.Visits) - 1)
	d.Owner, d.Fix = admit(rule, p.owned(fate, rule, at), at, services)
	if services != nil {
		d.Fix = p.mended(d.Fix, fate, at, services)
	}
	return d
}

// admit returns who writes the rules that dropped a packet, "" if that is not known, and the
// lines that let such packets pass, none without services.
func admit(rule netfilter.Rule, d *owner.Drop, at netfilter.Header, services Ports) (by string, lines []string) {
	o := owner.Of(d)
	if o != nil {
		by = o.Name
	}
	if services == nil {
		return by, nil
	}
	lines = accept(rule, at, services)
	if o == nil {
		return by, lines
	}
	if services(at.SrcPort) {
		d.SrcPort = at.SrcPort
	}
	if services(at.DstPort) {
		d.DstPort = at.DstPort
	}
	return by, o.Admit(d, lines)
}

// owned is a drop as its owner is recognized by it. h is the packet as it entered the
// base chain.
func (p *Packet) owned(fate netfilter.Fate, r netfilter.Rule, h netfilter.Header) *owner.Drop {
	d := &owner.Drop{Family: r.Table.Family, Table: r.Table.Name, Chains: []string{fate.Chain.Name}, Rule: r.Text, Hook: fate.Hook.String(),
		Packet: ownedPacket(h)}
	if fate.Step.Kind == netfilter.RuleStep && d.Rule == "" {
		d.Rule = r.NoText // a rule all the same
	}
	if len(p.Visits) == 0 {
		return d
	}
	for _, step := range p.Visits[len(p.Visits)-1].Steps {
		if step.Chain != d.Chains[len(d.Chains)-1] {
			d.Chains = append(d.Chains, step.Chain)
		}
	}
	return d
}

func ownedPacket(h netfilter.Header) owner.Packet {
	return owner.Packet{In: routing.LinkName(h.In), Out: routing.LinkName(h.Out), Src: h.Src, Dst: h.Dst, Proto: h.Proto}
}

// rule returns the rule that took a step, as much of it as can be known.
func (p *Packet) rule(c netfilter.Chain, s netfilter.Step) netfilter.Rule {
	r, err := p.rules.Rule(c, s)
	if err != nil {
		return netfilter.Rule{Table: c.Table, Chain: s.Chain, Handle: s.Handle, NoText: err.Error(), Program: "nft"}
	}
	return r
}

// at is the packet as it entered a chain that it visited.
func (p *Packet) at(visit int) netfilter.Header {
	if visit < 0 {
		return p.First
	}
	return p.Visits[visit].Header
}

// Diversion adds to the packet's traversal by which rule it became another packet: it
// was translated, or got another mark.
func (p *Packet) Diversion(t *evidence.Traversal, services Ports) {
	t.Changed = t.Translated
	mark := p.First.Mark
	for i, v := range p.Visits {
		for _, step := range v.Steps {
			marks := step.Mark != mark
			if marks {
				t.Changed = fmt.Sprintf("mark %#x to %#x", mark, step.Mark)
			}
			mark = step.Mark
			translates := v.Chain.Type == "nat" && step.Verdict.Action == netfilter.Accept
			if step.Kind != netfilter.RuleStep || !marks && !translates {
				continue
			}
			rule := p.rule(v.Chain, step)
			t.ChangedBy, t.Spare = rule.String(), accept(rule, p.at(i), services)
			return
		}
	}
}

// Met returns what the packet met in each base chain.
func (p *Packet) Met() []evidence.Visit {
	was, mark := p.First, p.First.Mark
	visits := make([]evidence.Visit, 0, len(p.Visits))
	for i := range p.Visits {
		v := &p.Visits[i]
		visit := evidence.Visit{Hook: v.Chain.Hook.String(), Chain: v.Chain.Describe()}
		if now := v.Header; now.Src.IsValid() {
			for _, change := range changes(was, now) {
				visit.Lines = append(visit.Lines, "translated: "+change)
			}
			was = now
		}
		for _, s := range v.Steps {
			visit.Verdict = s.Verdict.String()
			switch s.Kind {
			case netfilter.PolicyStep:
				visit.Verdict = "policy " + visit.Verdict
				visit.Lines = append(visit.Lines, visit.Verdict)
			case netfilter.RuleStep:
				line := p.rule(v.Chain, s).InTable() + " -> " + visit.Verdict
				if s.Mark != mark {
					line += fmt.Sprintf(", mark %#x", s.Mark)
					mark = s.Mark
				}
				visit.Lines = append(visit.Lines, line)
			case netfilter.EndStep: // the chain that called goes on
			}
		}
		visits = append(visits, visit)
	}
	return visits
}

// changes says what was translated of a packet between two places: "source a to b".
func changes(a, b netfilter.Header) []string {
	var all []string
	if a.Source() != b.Source() {
		all = append(all, fmt.Sprintf("source %s to %s", a.Source(), b.Source()))
	}
	if a.Destination() != b.Destination() {
		all = append(all, fmt.Sprintf("destination %s to %s", a.Destination(), b.Destination()))
	}
	return all
}

// handshake reports whether a datagram is as long as an initiation or a response.
func handshake(h netfilter.Header) bool {
	return h.Payload() == probe.LenInitiation || h.Payload() == probe.LenResponse
}

// echoes are the types of ICMP and ICMPv6 echo.
var echoes = map[[2]uint8]string{
	{probe.ProtoICMP, 8}: " echo request", {probe.ProtoICMP, 0}: " echo reply",
	{probe.ProtoICMPv6, 128}: " echo request", {probe.ProtoICMPv6, 129}: " echo reply",
}

// describe says what packet it is: "tcp 10.0.0.1:4000 > 192.0.2.1:80".
func describe(h netfilter.Header) string {
	if h.SrcPort == 0 && h.DstPort == 0 {
		return fmt.Sprintf("%s%s %s > %s", probe.ProtocolName(h.Proto), echoes[[2]uint8{h.Proto, h.ICMPType}], h.Src, h.Dst)
	}
	return fmt.Sprintf("%s %s > %s", probe.ProtocolName(h.Proto), h.Source(), h.Destination())
}
