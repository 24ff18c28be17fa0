//go:build linux

package explain

import (
	"fmt"
	"strings"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/harmless"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/host/xfrm"
)

func translated(pkt *netfilter.Packet) string {
	a, b := pkt.First, pkt.Last
	var words []string
	if a.Source() != b.Source() {
		words = append(words, fmt.Sprintf("source %s to %s", a.Source(), b.Source()))
	}
	if a.Destination() != b.Destination() {
		words = append(words, fmt.Sprintf("destination %s to %s", a.Destination(), b.Destination()))
	}
	return strings.Join(words, ", ")
}

// changed words what made another packet of one on its way.
func (w *kernelWatch) changed(f *diagnose.Facts, p *evidence.Traversal, pkt *observe.Packet) {
	p.Changed = p.Translated
	mark := pkt.First.Mark
	for i, v := range pkt.Visits {
		for _, step := range v.Steps {
			marks := step.Mark != mark
			if marks {
				p.Changed = fmt.Sprintf("mark %#x to %#x", mark, step.Mark)
			}
			mark = step.Mark
			translates := v.Chain.Type == "nat" && step.Verdict.Action == netfilter.Accept
			if step.Kind != netfilter.RuleStep || !marks && !translates {
				continue
			}
			rule, text := ruleOf(pkt, v.Chain, step)
			upTo := *pkt.Packet
			upTo.Visits = pkt.Visits[:i+1]
			p.ChangedBy, p.Spare = text, accept(rule, &upTo, services(f, pkt.Match.On, &upTo))
			return
		}
	}
}

// ruleOf returns the rule that took a step, and its text, as much as can be known.
func ruleOf(pkt *observe.Packet, c netfilter.Chain, s netfilter.Step) (netfilter.Rule, string) {
	rule, err := pkt.Rules.Rule(c, s)
	if err != nil {
		rule = netfilter.Rule{Table: c.Table, Chain: s.Chain, Handle: s.Handle, NoText: err.Error(), Program: "nft"}
	}
	text := rule.String()
	if rule.Text == "" && rule.NoText != "" {
		text += " (" + rule.NoText + ")"
	}
	return rule, text
}

// drop words what dropped a packet.
func (w *kernelWatch) drop(f *diagnose.Facts, pkt *observe.Packet, fate netfilter.Fate) *evidence.Drop {
	d := &evidence.Drop{Hook: fate.Hook.String(), Chain: fate.Chain.Describe(), Packet: describe(pkt.First)}
	rule := netfilter.Rule{Table: fate.Chain.Table, Chain: fate.Chain.Name, Program: "nft"}
	if fate.Step.Kind == netfilter.RuleStep {
		rule, d.Rule = ruleOf(pkt, fate.Chain, fate.Step)
		d.Reject = rule.Reject
	}
	h := pkt.First
	d.Data = h.Proto == probe.ProtoUDP && !handshakeSized(h)
	d.Fix = accept(rule, pkt.Packet, services(f, pkt.Match.On, pkt.Packet))
	return d
}

// handshakeSized reports whether a datagram is as long as an initiation or a
// response.
func handshakeSized(h netfilter.Header) bool {
	headers := 20 + 8
	if h.Src.Is6() {
		headers = 40 + 8
	}
	payload := int(h.Length) - headers
	return payload == initiationLen || payload == responseLen
}

func describe(h netfilter.Header) string {
	return fmt.Sprintf("%s %s > %s", probe.ProtocolName(h.Proto), h.Source(), h.Destination())
}

// accept returns the command that lets packets pass the chain that dropped one.
func accept(r netfilter.Rule, pkt *netfilter.Packet, service func(port uint16) bool) []string {
	h := pkt.First
	if len(pkt.Visits) > 0 {
		h = pkt.Visits[len(pkt.Visits)-1].Header
	}
	if r.Program == "iptables" || r.Program == "ip6tables" {
		args := []string{r.Program, "-t", r.Table.Name, "-I", r.Chain, "-s", h.Src.String(), "-d", h.Dst.String(), "-p", probe.ProtocolName(h.Proto)}
		switch {
		case service(h.SrcPort):
			args = append(args, "--sport", fmt.Sprint(h.SrcPort))
		case service(h.DstPort):
			args = append(args, "--dport", fmt.Sprint(h.DstPort))
		}
		for i, arg := range args {
			args[i] = harmless.Shell(arg)
		}
		return []string{strings.Join(append(args, "-j", "ACCEPT"), " ")}
	}
	ip := "ip"
	if h.Src.Is6() {
		ip = "ip6"
	}
	match := fmt.Sprintf("%s saddr %s %s daddr %s", ip, h.Src, ip, h.Dst)
	switch {
	case service(h.DstPort):
		match += fmt.Sprintf(" %s dport %d", probe.ProtocolName(h.Proto), h.DstPort)
	case service(h.SrcPort):
		match += fmt.Sprintf(" %s sport %d", probe.ProtocolName(h.Proto), h.SrcPort)
	default:
		match += fmt.Sprintf(" meta l4proto %d", h.Proto)
	}
	return []string{harmless.Command("nft insert rule %s %s %s %s accept", r.Table.Family, r.Table.Name, r.Chain, harmless.Raw(match))}
}

// services tells which ports stand for a service: the others were made up for
// one connection, and the next one has another.
func services(f *diagnose.Facts, s evidence.Segment, pkt *netfilter.Packet) func(port uint16) bool {
	h := pkt.Last
	translated := uint16(0) // the service's, where a port forward leads to it
	switch {
	case f.Side == diagnose.SideB && s == evidence.FromTunnel, f.Side == diagnose.SideA && s == evidence.ToTunnel:
		translated = h.DstPort
	case s == evidence.ToTunnel, s == evidence.FromTunnel:
		translated = h.SrcPort
	}
	return func(port uint16) bool {
		switch {
		case port == 0:
			return false
		case port == translated:
			return true
		case f.Flow != nil && port == f.Flow.Target.Port(), port == f.ListenPort:
			return true
		}
		return f.Peer != nil && port == f.Peer.Endpoint.Port()
	}
}

// refusedBy are the policies of IPsec that do not let a packet go on from where it
// was seen last.
func refusedBy(p *evidence.Traversal, h netfilter.Header) []evidence.XfrmBlock {
	pkt := xfrm.Packet{Src: h.Source(), Dst: h.Destination(), Proto: h.Proto}
	switch {
	case p.Lost == "prerouting":
		return refusals(pkt, xfrm.Forward, xfrm.Out)
	case p.Lost == "" && p.Drop == nil && p.Passed == "input":
		return refusals(pkt, xfrm.In)
	}
	return nil
}
