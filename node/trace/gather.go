package trace

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/host/routing"
	"github.com/wgnode/wgnode/probe/walk"
)

// gather turns what was heard into facts.
func (x *run) gather() *walk.Facts {
	w := x.join()
	f := &walk.Facts{Interface: x.Interface, Target: probe.TargetText(x.to), Peer: x.facts.Peer.Key, PeerName: x.facts.Peer.Name,
		Packet: x.packet(w), Stack: !x.Kernel, Blind: x.kernel.Blind, Limits: x.limits(), Seen: w.seen, Answer: x.answer}
	if w.dropped != nil && f.Seen[probe.A4] == nil {
		f.Seen[probe.A4] = w.dropped
	}
	if e := w.sendError; e != nil {
		f.SendError = syscall.Errno(e.Info).Error()
	}
	if e := w.networkError; e != nil {
		f.NetworkError = x.icmp(e)
	} else if w.complaint != nil {
		f.NetworkError = x.complaint(w.complaint)
	}
	if e := w.innerError; e != nil {
		src, _ := e.Inner()
		f.InnerError = fmt.Sprintf("ICMP error from %s, type %d code %d", src.Addr(), e.Info, e.InnerSrcPort)
	}
	f.Out, f.In = x.passage(w.out, ""), x.passage(w.in, "")
	f.Sent, f.Received = x.passage(w.sent, w.sentOther), x.passage(w.received, w.receivedOther)
	f.Initiation, f.Response = x.passage(w.initiation, ""), x.passage(w.response, "")
	if x.Kernel {
		x.innerWay(f, w)
	}
	if x.facts.Peer.Endpoint.IsValid() {
		x.outerWay(f, w)
	}
	return f
}

// packet says in words what was sent.
func (x *run) packet(w *witnesses) string {
	switch e := w.seen[probe.A1]; {
	case w.out != nil:
		return describe(w.out.First)
	case e != nil && x.to.Port() == 0:
		src, _ := e.Inner()
		return fmt.Sprintf("%s echo request %s > %s, %d bytes", probe.ProtocolName(x.proto), src.Addr(), x.to.Addr(), e.InnerLen)
	case e != nil:
		src, dst := e.Inner()
		return fmt.Sprintf("%s %s > %s, %d bytes", probe.ProtocolName(x.proto), src, dst, e.InnerLen)
	}
	return probe.ProtocolName(x.proto) + " to " + probe.TargetText(x.to)
}

// icmp words an ICMP error about an encrypted packet.
func (x *run) icmp(e *probe.Event) string {
	from, _ := e.Outer()
	if e.Info == 0 {
		return "this host's kernel answers: " + e.Reason.String()
	}
	return fmt.Sprintf("%s from %s", e.Reason, from.Addr())
}

// echoWords are the types of ICMP and ICMPv6 that a trace deals with.
var echoWords = map[[2]uint8]string{
	{probe.ProtoICMP, echo4}: " echo request", {probe.ProtoICMP, 0}: " echo reply",
	{probe.ProtoICMPv6, echo6}: " echo request", {probe.ProtoICMPv6, echo6 + 1}: " echo reply",
}

// complaint words an ICMP error that the tunnel's socket has not been told of.
func (x *run) complaint(p *observe.Packet) string {
	text := fmt.Sprintf("ICMP error from %s, type %d code %d", p.First.Src, p.First.ICMPType, p.First.ICMPCode)
	switch w := x.passage(p, ""); {
	case w.Drop != nil:
		text += "; this host drops it: " + w.Drop.By
	case w.Lost != "" && w.Check != nil && w.Check.Drops:
		text += "; this host drops it: " + w.Check.Result
	}
	return text
}

// describe writes a packet: "tcp 10.0.0.1:4000 > 192.0.2.1:80, 60 bytes".
func describe(h netfilter.Header) string {
	if h.SrcPort == 0 && h.DstPort == 0 {
		kind := echoWords[[2]uint8{h.Proto, h.ICMPType}]
		return fmt.Sprintf("%s%s %s > %s, %d bytes", probe.ProtocolName(h.Proto), kind, h.Src, h.Dst, h.Length)
	}
	return fmt.Sprintf("%s %s > %s, %d bytes", probe.ProtocolName(h.Proto), h.Source(), h.Destination(), h.Length)
}

// passage words the walk of a packet through the hooks.
func (x *run) passage(p *observe.Packet, other string) *walk.Passage {
	if p == nil {
		return nil
	}
	w := &walk.Passage{Packet: describe(p.First), Other: other, In: link.NameOf(p.First.In), Out: link.NameOf(p.Last.Out), Incomplete: p.Incomplete}
	was := p.First
	mark := p.First.Mark
	for i := range p.Visits {
		v := &p.Visits[i]
		visit := walk.Visit{Hook: v.Chain.Hook.String(), Chain: v.Chain.Describe()}
		if now := v.Header; now.Src.IsValid() {
			visit.Lines = append(visit.Lines, translated(was, now)...)
			was = now
		}
		for _, s := range v.Steps {
			visit.Verdict = s.Verdict.String()
			switch s.Kind {
			case netfilter.PolicyStep:
				visit.Verdict = "policy " + visit.Verdict
				visit.Lines = append(visit.Lines, visit.Verdict)
				continue
			case netfilter.EndStep:
				continue
			}
			line := rule(p, v.Chain, s) + " -> " + s.Verdict.String()
			if s.Mark != mark {
				line += fmt.Sprintf(", mark %#x", s.Mark)
				mark = s.Mark
			}
			visit.Lines = append(visit.Lines, line)
		}
		w.Visits = append(w.Visits, visit)
	}
	end(w, p)
	if p.Start == netfilter.Prerouting {
		w.Check = check(p.Packet)
	}
	return w
}

// end says how the walk of a packet ended.
func end(w *walk.Passage, p *observe.Packet) {
	switch f := p.Fate(); f.Outcome {
	case netfilter.Passed:
		w.End = f.Hook.String()
	case netfilter.Lost:
		if !p.First.Fragment {
			w.Lost = f.Hook.String()
		}
	default:
		w.Drop = &walk.Drop{Hook: f.Hook.String(), By: "the policy of " + f.Chain.Describe()}
		if f.Step.Kind == netfilter.RuleStep {
			w.Drop.By = fmt.Sprintf("%v %s", f.Chain.Table, rule(p, f.Chain, f.Step))
		}
		if f.Outcome != netfilter.Dropped {
			w.Drop.By += " (" + f.Outcome.String() + ")"
		}
	}
}

// rule writes the rule of a step: "input handle 7: tcp dport 80 drop".
func rule(p *observe.Packet, c netfilter.Chain, s netfilter.Step) string {
	r, err := p.Rules.Rule(c, s)
	text := r.Text
	switch {
	case err != nil:
		text = err.Error()
	case text == "":
		text = "(" + r.NoText + ")"
	}
	return fmt.Sprintf("%s handle %d: %s", s.Chain, s.Handle, text)
}

// translated says what was changed of a packet between two chains.
func translated(a, b netfilter.Header) []string {
	var lines []string
	if a.Source() != b.Source() {
		lines = append(lines, fmt.Sprintf("translated: source %s to %s", a.Source(), b.Source()))
	}
	if a.Destination() != b.Destination() {
		lines = append(lines, fmt.Sprintf("translated: destination %s to %s", a.Destination(), b.Destination()))
	}
	return lines
}

// innerWay looks up where the packet goes, also after output has marked it.
func (x *run) innerWay(f *walk.Facts, w *witnesses) {
	flow := routing.Flow{Dst: x.to.Addr(), Proto: x.proto, DPort: x.to.Port()}.Own()
	if x.proto == probe.ProtoTCP {
		flow.SPort = x.id
	}
	if w.out == nil {
		f.Inner = way(flow)
		return
	}
	flow.Mark = w.out.First.Mark
	f.Inner = way(flow)
	if f.Inner != nil {
		f.Inner.Evidence = append(f.Inner.Evidence, fmt.Sprintf("source: %s", w.out.First.Src))
	}
	if mark, ok := remarked(w.out.Packet); ok {
		flow.Mark, flow.Src = mark, w.out.First.Src
		f.Rerouted = way(flow)
	}
}

// remarked returns the mark that a chain of type route gave a packet in output,
// which has the kernel look up its way again.
func remarked(p *netfilter.Packet) (mark uint32, ok bool) {
	was := p.First.Mark
	for i := range p.Visits {
		v := &p.Visits[i]
		if v.Chain.Hook != netfilter.Output || len(v.Steps) == 0 {
			continue
		}
		now := v.Steps[len(v.Steps)-1].Mark
		if now != was && v.Chain.Type == "route" {
			mark, ok = now, true
		}
		was = now
	}
	return mark, ok
}

// outerWay looks up where the encrypted packet goes.
func (x *run) outerWay(f *walk.Facts, w *witnesses) {
	ep := x.facts.Peer.Endpoint
	if e := w.seen[probe.A4]; e != nil {
		_, ep = e.Outer()
	}
	flow := routing.Flow{Dst: ep.Addr(), Proto: probe.ProtoUDP, SPort: x.facts.ListenPort, DPort: ep.Port(), Mark: x.facts.FwMark}.Own()
	if p := w.sent; p != nil {
		flow.Src, flow.Mark = p.First.Src, p.First.Mark
	} else if p := w.initiation; p != nil {
		flow.Src, flow.Mark = p.First.Src, p.First.Mark
	}
	f.Outer = way(flow)
}

// way asks routing. It returns nil if the routes cannot be read.
func way(flow routing.Flow) *walk.Way {
	snap, w, err := routing.Explain(flow)
	if err != nil {
		return nil
	}
	d := &w.Decision
	r := &walk.Way{Result: d.String(), Link: d.OutLink(), Mark: flow.Mark, Rejects: d.Type.Rejects()}
	if w.Unexplained == "" {
		for i := range w.Steps {
			r.Evidence = append(r.Evidence, w.Steps[i].String())
		}
	}
	if w.Verified {
		r.Evidence = append(r.Evidence, "the kernel says the same: "+flow.String())
	}
	for _, s := range []string{w.Unexplained, w.Doubt, w.Refused} {
		if s != "" {
			r.Evidence = append(r.Evidence, s)
		}
	}
	if len(d.Hops) > 0 && d.Type != routing.TypeLocal {
		next := snap.NextHop(flow.Dst, d.Hops[0])
		r.NextHop, r.Silent = next.Evidence(), next.Unreachable()
	}
	return r
}

// check asks routing about a packet that came in.
func check(p *netfilter.Packet) *walk.Check {
	h := atRouting(p)
	flow := routing.Flow{Src: h.Src, Dst: h.Dst, Proto: h.Proto, SPort: h.SrcPort, DPort: h.DstPort, Mark: h.Mark, IIF: link.NameOf(h.In)}
	snap, err := routing.Take(routing.Options{Only: []netip.Addr{h.Src, h.Dst}})
	if err != nil {
		return nil
	}
	rp := snap.ReversePath(flow)
	kind, route := snap.AddrType(h.Dst)
	c := &walk.Check{Drops: rp.Drops, Evidence: slices.Clone(rp.Evidence)}
	if len(rp.Evidence) > 0 {
		c.Result, c.Evidence = rp.Evidence[0], c.Evidence[1:]
	}
	if rp.Setting.Name != "" && !rp.Drops {
		c.Evidence = append(c.Evidence, fmt.Sprintf("%v (%v)", rp.Setting, rp.Mode))
	}
	if rp.Back != nil {
		c.Evidence = append(c.Evidence, "the way back:")
		for i := range rp.Back.Steps {
			c.Evidence = append(c.Evidence, "  "+rp.Back.Steps[i].String())
		}
	}
	if rp.Doubt != "" {
		c.Evidence = append(c.Evidence, rp.Doubt)
	}
	if kind == routing.TypeLocal {
		c.Evidence = append([]string{route.String()}, c.Evidence...)
		if !c.Drops {
			c.Result = h.Dst.String() + " is this host's own; " + c.Result
		}
	} else if !c.Drops {
		c.Result = h.Dst.String() + " is not this host's own; " + c.Result
	}
	return c
}

// atRouting is the packet as it is when routing sees it, after prerouting.
func atRouting(p *netfilter.Packet) netfilter.Header {
	h := p.First
	for i := range p.Visits {
		v := &p.Visits[i]
		if v.Chain.Hook != netfilter.Prerouting {
			return v.Header
		}
		if v.Header.Src.IsValid() {
			h = v.Header
		}
		if len(v.Steps) > 0 {
			h.Mark = v.Steps[len(v.Steps)-1].Mark
		}
	}
	if p.Last.Src.IsValid() && p.End == netfilter.Input {
		return p.Last
	}
	return h
}
