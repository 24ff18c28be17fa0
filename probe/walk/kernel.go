package walk

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
)

// innerRoute is a routing decision about the packet. It is lost if that leads
// nowhere, and astray if it leads past the tunnel, unless it got there.
func (b *builder) innerRoute(r *evidence.RouteDecision) Step {
	s := decided(r)
	switch {
	case r == nil || b.f.Seen[probe.A1] != nil:
	case r.Rejects():
		s.Status = Lost
	case r.Interface == b.f.Interface:
	case b.f.Rerouted == nil || r == b.f.Rerouted: // else output may yet lead it back
		s.Status, b.astray = Lost, true
		s.Evidence = append(s.Evidence, "it does not enter "+b.f.Interface)
	}
	return s
}

// outerRoute is the same about the encrypted packet. It must not lead into the
// tunnel.
func (b *builder) outerRoute(r *evidence.RouteDecision) Step {
	s := decided(r)
	switch {
	case r == nil || b.arrived() != nil:
	case r.Rejects():
		s.Status = Lost
	case r.Interface == b.f.Interface:
		s.Status = Lost
		s.Evidence = append(s.Evidence, "that is the tunnel: the packet would be encrypted again and again")
	}
	return s
}

func decided(r *evidence.RouteDecision) Step {
	if r == nil {
		return Step{Result: "not visible: the routes could not be read"}
	}
	return Step{Status: Pass, Result: r.Describe(), Evidence: slices.Clone(r.Steps)}
}

// order is that of the hooks on the path of a packet.
var order = map[string]int{"ingress": 0, "prerouting": 1, "input": 2, "output": 1, "postrouting": 2, "egress": 3}

// device adds what a packet met at a hook of a device, if it was seen to meet
// something there.
func (b *builder) device(leg Leg, zone Zone, at Place, p *evidence.Traversal) {
	if p == nil {
		return
	}
	met := slices.ContainsFunc(p.Visits, func(v evidence.Visit) bool { return v.Hook == string(at) })
	if hook, _ := stopped(p); !met && hook != string(at) {
		return
	}
	link := p.In
	if at == Egress {
		link = p.Out
	}
	b.add(leg, zone, at, fmt.Sprintf("%s of %s", at, link), b.hook(p, at))
}

// hook is what a packet met in one hook.
func (b *builder) hook(p *evidence.Traversal, at Place) Step {
	name := string(at)
	if p == nil {
		return Step{Result: b.unseen()}
	}
	s := Step{Status: Pass}
	if at == Output { // of what came in, the step of the wire says it
		s.Evidence = append(s.Evidence, b.packet(p)...)
	}
	var met []string
	for _, v := range p.Visits {
		if v.Hook != name {
			continue
		}
		met = append(met, chainName(v.Chain)+": "+v.Verdict)
		s.Evidence = append(s.Evidence, v.Chain)
		for _, line := range v.Lines {
			s.Evidence = append(s.Evidence, "  "+line)
		}
	}
	if p.Incomplete {
		s.Evidence = append(s.Evidence, "some trace events were missed")
	}
	s.Result = strings.Join(met, "; ")
	if len(met) == 0 {
		s.Result = "no chain meets it"
	}
	last := p.Passed
	hook, by := stopped(p)
	switch {
	case by != "":
		last = hook
	case p.Lost != "":
		last = p.Lost
	}
	switch {
	case by != "" && hook == name:
		s.Status, s.Result = Lost, "dropped by "+by
	case order[name] <= order[last]:
	case at == Input && routed(p):
		s.Status, s.Result = Lost, "passed prerouting and was not seen here, though routing takes it in: no rule that can be traced "+
			"dropped it, another part of the kernel did"
	case p.Lost == string(Output) && !p.Incomplete:
		s.Status, s.Result = Lost, "passed output and did not come here: no rule that can be traced dropped it, another part of the kernel did"
	default:
		s.Status, s.Result = Unknown, "it was not seen here"
	}
	return s
}

// routed reports whether a packet that was seen last in prerouting is this host's own by the
// routing tables, so that what takes it lies before or behind them.
func routed(p *evidence.Traversal) bool {
	c := p.Source
	return p.Lost == string(Prerouting) && !p.Incomplete && c != nil && c.Own && !c.Drops && p.Route.Overruled == ""
}

// packet is what was seen on a segment.
func (b *builder) packet(p *evidence.Traversal) []string {
	other := ""
	switch p {
	case b.f.Sent:
		other = b.f.SentOther
	case b.f.Received:
		other = b.f.ReceivedOther
	}
	if other == "" {
		return []string{p.Packet}
	}
	return []string{p.Packet, other}
}

// stopped says which rule or policy let a packet go no further, and in which hook;
// "" if none did.
func stopped(p *evidence.Traversal) (hook, by string) {
	switch {
	case p.Held != nil:
		return p.Held.Hook, p.Held.By + " (" + p.Held.How + ")"
	case p.Drop == nil && p.KernelDrop != nil && !p.KernelDrop.Hint && !p.KernelDrop.OfRouting() && !p.KernelDrop.NextHopSilent():
		return p.KernelDrop.Hook, "the kernel, " + p.KernelDrop.Where()
	case p.Drop == nil:
		return "", ""
	case p.Drop.Rule == "":
		return p.Drop.Hook, "the policy of " + p.Drop.Chain
	}
	return p.Drop.Hook, p.Drop.Rule
}

// unseen says why nothing is known of a hook.
func (b *builder) unseen() string {
	if b.f.Blind != "" {
		return "not visible: " + b.f.Blind
	}
	return "it was not seen here"
}

func (b *builder) wireOut(p *evidence.Traversal) Step {
	s := Step{Result: b.unseen()}
	if p != nil && p.Passed == string(Postrouting) {
		s = Step{Status: Pass, Result: "out of " + p.Out}
	}
	r := b.f.Outer
	if r != nil && r.Neighbor != nil {
		s.Evidence = append(s.Evidence, r.Neighbor.Evidence)
	}
	if b.arrived() != nil {
		return s
	}
	if b.f.Claim != "" {
		s.Evidence = append(s.Evidence, "anybody could have sent this: "+b.f.Claim)
	}
	switch {
	case b.f.NetworkError != "":
		s.Status, s.Result = Lost, b.f.NetworkError+dropped(b.f.Complaint)
	case r != nil && r.Neighbor != nil && r.Neighbor.Unreachable:
		s.Status, s.Result = Lost, "the next hop does not answer on "+r.Interface
	case b.f.SendError != "" && p == nil:
		s.Status, s.Result = Lost, "the kernel refuses the packet: "+b.f.SendError
		s.Evidence = append(s.Evidence, b.unseen())
	}
	return s
}

// dropped says why this host did not deliver an ICMP error, "" if that is not known.
func dropped(p *evidence.Traversal) string {
	if p == nil {
		return ""
	}
	const drops = "; this host drops it: "
	_, by := stopped(p)
	switch {
	case by != "":
		return drops + by
	case p.Lost != "" && p.Source != nil && p.Source.Drops:
		return drops + sourceChecked(p.Source).Result
	}
	return ""
}

func (b *builder) sent() bool { return b.data() || b.f.Seen[probe.A2] != nil }

// arrived is the event of what came back encrypted.
func (b *builder) arrived() *probe.Event {
	if b.data() {
		return b.f.Seen[probe.A5]
	}
	return b.f.Seen[probe.A3]
}

func (b *builder) wireIn(p *evidence.Traversal) Step {
	switch e := b.arrived(); {
	case p != nil:
		return Step{Status: Pass, Result: "in on " + p.In, Evidence: b.packet(p)}
	case e != nil:
		from, _ := e.Outer()
		return Step{Status: Pass, Result: fmt.Sprintf("from %s, %d bytes", from, e.OuterLen)}
	case b.sent() && b.f.Blind != "":
		return Step{Result: "nothing has come to the tunnel; whether this host dropped it is not visible: " + b.f.Blind}
	case b.sent():
		return Step{Status: Lost, Result: "nothing came back"}
	}
	return Step{}
}

// check is what comes between prerouting and input.
func (b *builder) check(p *evidence.Traversal) Step {
	if p == nil {
		return Step{Result: b.unseen()}
	}
	s := Step{Status: Unknown, Result: "not visible: the routes could not be read"}
	if p.Source != nil {
		s = sourceChecked(p.Source)
	}
	hook, _ := stopped(p)
	passed := p.Passed != "" || hook == string(Input) || p.Lost == string(Input)
	switch {
	case passed && p.Source != nil && p.Source.Drops:
		// What the kernel did counts more than what it should have done.
		s.Evidence = append(s.Evidence, "and yet it came to input: the routes have changed, or were read wrongly")
		s.Status = Pass
	case passed:
		s.Status = Pass
	case routed(p):
		s.Status = Pass
	case p.Lost == string(Prerouting) && !p.Incomplete:
		s.Status = Lost
		if p.Source == nil || !p.Source.Drops {
			s.Result = "passed prerouting and did not come to input: no rule that can be traced dropped it, routing or another part of " +
				"the kernel did"
		}
	case hook == "":
		s.Status = Unknown
	}
	return s
}

// sourceChecked is what routing makes of a packet, and what that rests on.
func sourceChecked(c *evidence.SourceCheck) Step {
	s := Step{Status: Pass, Evidence: slices.Clone(c.Evidence)}
	if len(c.Evidence) > 0 {
		s.Result, s.Evidence = c.Evidence[0], s.Evidence[1:]
	}
	if c.Setting != "" && !c.Drops {
		s.Evidence = append(s.Evidence, c.Setting)
	}
	if c.Back.Kind != evidence.RouteUnknown {
		s.Evidence = append(s.Evidence, "the route back:")
		for _, line := range c.Back.Steps {
			s.Evidence = append(s.Evidence, "  "+line)
		}
	}
	if c.Doubt != "" {
		s.Evidence = append(s.Evidence, c.Doubt)
	}
	if c.OwnRoute != "" {
		s.Evidence = slices.Insert(s.Evidence, 0, c.OwnRoute)
	}
	switch {
	case c.Drops:
	case c.Own:
		s.Result = c.Dst.String() + " is this host's own; " + s.Result
	default:
		s.Result = c.Dst.String() + " is not this host's own; " + s.Result
	}
	return s
}
