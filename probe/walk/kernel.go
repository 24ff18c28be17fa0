package walk

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe"
)

// innerWay is a routing decision about the packet. It is lost if that leads
// nowhere, and astray if it leads past the tunnel, unless it got there.
func (b *builder) innerWay(w *Way) Step {
	s := decided(w)
	switch {
	case w == nil || b.f.Seen[probe.A1] != nil:
	case w.Rejects:
		s.Status = Lost
	case w.Link == b.f.Interface:
	case b.f.Rerouted == nil || w == b.f.Rerouted: // else output may yet lead it back
		s.Status, b.astray = Lost, true
		s.Evidence = append(s.Evidence, "it does not enter "+b.f.Interface)
	}
	return s
}

// outerWay is the same about the encrypted packet. It must not lead into the
// tunnel.
func (b *builder) outerWay(w *Way) Step {
	s := decided(w)
	switch {
	case w == nil || b.arrived() != nil:
	case w.Rejects:
		s.Status = Lost
	case w.Link == b.f.Interface:
		s.Status = Lost
		s.Evidence = append(s.Evidence, "that is the tunnel: the packet would be encrypted again and again")
	}
	return s
}

func decided(w *Way) Step {
	if w == nil {
		return Step{Result: "not visible: the routes could not be read"}
	}
	return Step{Status: Pass, Result: w.Result, Evidence: slices.Clone(w.Evidence)}
}

// order is that of the hooks on a packet's way.
var order = map[string]int{"ingress": 0, "prerouting": 1, "input": 2, "output": 1, "postrouting": 2, "egress": 3}

// device adds what a packet met at a hook of a device, if it was seen to meet
// something there.
func (b *builder) device(leg Leg, zone Zone, at Place, p *Passage) {
	if p == nil || !slices.ContainsFunc(p.Visits, func(v Visit) bool { return v.Hook == string(at) }) {
		return
	}
	link := p.In
	if at == Egress {
		link = p.Out
	}
	b.add(leg, zone, at, fmt.Sprintf("%s of %s", at, link), b.hook(p, at))
}

// hook is what a packet met in one hook.
func (b *builder) hook(p *Passage, at Place) Step {
	name := string(at)
	if p == nil {
		return Step{Result: b.unseen()}
	}
	s := Step{Status: Pass}
	if at == Output { // of what came in the wire tells
		s.Evidence = append(s.Evidence, p.Packet)
		if p.Other != "" {
			s.Evidence = append(s.Evidence, p.Other)
		}
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
	last := p.End
	switch {
	case p.Drop != nil:
		last = p.Drop.Hook
	case p.Lost != "":
		last = p.Lost
	}
	switch {
	case p.Drop != nil && p.Drop.Hook == name:
		s.Status, s.Result = Lost, "dropped by "+p.Drop.By
	case order[name] <= order[last]:
	case p.Lost == string(Output) && !p.Incomplete:
		s.Status, s.Result = Lost, "passed output and did not come here: no rule dropped it, another part of the kernel did"
	default:
		s.Status, s.Result = Unknown, "it was not seen here"
	}
	return s
}

// unseen says why nothing is known of a hook.
func (b *builder) unseen() string {
	if b.f.Blind != "" {
		return "not visible: " + b.f.Blind
	}
	return "it was not seen here"
}

func (b *builder) wireOut(p *Passage) Step {
	s := Step{Result: b.unseen()}
	if p != nil && p.End == string(Postrouting) {
		s = Step{Status: Pass, Result: "out of " + p.Out}
	}
	w := b.f.Outer
	if w != nil && w.NextHop != "" {
		s.Evidence = append(s.Evidence, w.NextHop)
	}
	if b.arrived() != nil {
		return s
	}
	switch {
	case b.f.NetworkError != "":
		s.Status, s.Result = Lost, b.f.NetworkError
	case w != nil && w.Silent:
		s.Status, s.Result = Lost, "the next hop does not answer on "+w.Link
	case b.f.SendError != "" && p == nil:
		s.Status, s.Result = Lost, "the kernel refuses the packet: "+b.f.SendError
		s.Evidence = append(s.Evidence, b.unseen())
	}
	return s
}

func (b *builder) sent() bool { return b.data() || b.f.Seen[probe.A2] != nil }

// arrived is the event of what came back encrypted.
func (b *builder) arrived() *probe.Event {
	if b.data() {
		return b.f.Seen[probe.A5]
	}
	return b.f.Seen[probe.A3]
}

func (b *builder) wireIn(p *Passage) Step {
	switch e := b.arrived(); {
	case p != nil:
		s := Step{Status: Pass, Result: "in on " + p.In, Evidence: []string{p.Packet}}
		if p.Other != "" {
			s.Evidence = append(s.Evidence, p.Other)
		}
		return s
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
func (b *builder) check(p *Passage) Step {
	if p == nil {
		return Step{Result: b.unseen()}
	}
	s := Step{Status: Unknown, Result: "not visible: the routes could not be read"}
	if c := p.Check; c != nil {
		s.Status, s.Result, s.Evidence = Pass, c.Result, slices.Clone(c.Evidence)
	}
	passed := p.End != "" || p.Drop != nil && p.Drop.Hook == string(Input) || p.Lost == string(Input)
	switch {
	case passed && p.Check != nil && p.Check.Drops:
		// What the kernel did counts more than what it should have done.
		s.Evidence = append(s.Evidence, "and yet it came to input: the routes have changed, or were read wrongly")
		s.Status = Pass
	case passed:
		s.Status = Pass
	case p.Lost == string(Prerouting) && !p.Incomplete:
		s.Status = Lost
		if p.Check == nil || !p.Check.Drops {
			s.Result = "passed prerouting and did not come to input: no rule dropped it, routing did"
		}
	case p.Drop == nil:
		s.Status = Unknown
	}
	return s
}
