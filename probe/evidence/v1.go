package evidence

import (
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
)

// This file reads version 1, which recordings have that wgnode made before it knew
// versions: the types as they were then, whose Go names are the keys. It is frozen.

type observationsV1 struct {
	Target netip.AddrPort `json:"target"`
	Side   probe.Side     `json:"side"`
	Route  routeV1        `json:"route"`
	Kernel *kernelV1      `json:"kernel"`
	Wire   []wireV1       `json:"wire"`
}

type wireV1 struct {
	Remote netip.AddrPort `json:"remote"`
	Peer   string         `json:"peer"`
	Way    routeV1        `json:"way"`
	From   passageV1      `json:"from"`
	To     passageV1      `json:"to"`
}

type kernelV1 struct {
	Blind    string
	Limits   []string
	Lost     uint64
	WireOnly bool
	Passages [4]passageV1 // by Segment
}

type passageV1 struct {
	Packets    int
	At, DataAt time.Time
	Drop       *struct {
		Hook, Chain, Rule string
		Reject, Data      bool
		Packet            string
		Fix               []string
	}
	Lost, Passed string
	Refusals     []struct{ Text, Fix string }
	Src, Dst     netip.AddrPort
	In, Out      string
	Translated   string
	Changed, By  string
	Spare        []string
	Way          routeV1
	Source       *struct {
		Drops         bool
		Evidence, Fix []string
		Back          routeV1
	}
	Forwarding *struct {
		On       bool
		Evidence string
		Fix      []string
	}
	NextHop *struct {
		Unreachable bool
		Evidence    string
		Addr        netip.Addr
		Link        string
	}
	Conntrack *struct {
		Text            string
		Unreplied, SNAT bool
	}
}

type routeV1 struct {
	Kind       int
	Interface  string
	Gateway    netip.Addr
	Source     netip.Addr
	Local      bool
	Text       string
	By, Remove string
	Beatable   bool
	Around     string
}

func (o *observationsV1) observations() Observations {
	now := Observations{Target: o.Target, Side: o.Side, Route: o.Route.decision()}
	if k := o.Kernel; k != nil {
		now.Kernel = &KernelEvidence{Blind: k.Blind, Limits: k.Limits, Lost: k.Lost, WireOnly: k.WireOnly}
		for s := range k.Passages {
			*now.Kernel.On(Segment(s)) = k.Passages[s].traversal()
		}
	}
	for i := range o.Wire {
		w := &o.Wire[i]
		now.Wire = append(now.Wire, WireObservations{Remote: w.Remote, Peer: w.Peer, Route: w.Way.decision(),
			From: w.From.traversal(), To: w.To.traversal()})
	}
	return now
}

func (p *passageV1) traversal() Traversal {
	t := Traversal{Packets: p.Packets, At: p.At, DataAt: p.DataAt, Src: p.Src, Dst: p.Dst, In: p.In, Out: p.Out,
		Lost: p.Lost, Passed: p.Passed, Translated: p.Translated, Changed: p.Changed, ChangedBy: p.By, Spare: p.Spare,
		Route: p.Way.decision()}
	if d := p.Drop; d != nil {
		t.Drop = &Drop{Hook: d.Hook, Chain: d.Chain, Rule: d.Rule, Reject: d.Reject, Data: d.Data, Packet: d.Packet, Fix: d.Fix}
	}
	for _, r := range p.Refusals {
		t.XfrmBlocks = append(t.XfrmBlocks, XfrmBlock{Text: r.Text, Fix: r.Fix})
	}
	if s := p.Source; s != nil {
		t.Source = &SourceCheck{Drops: s.Drops, Evidence: s.Evidence, Fix: s.Fix, Back: s.Back.decision()}
	}
	if f := p.Forwarding; f != nil {
		t.Forwarding = &Forwarding{On: f.On, Evidence: f.Evidence, Fix: f.Fix}
	}
	if n := p.NextHop; n != nil {
		t.Route.Neighbor = &Neighbor{Addr: n.Addr, Link: n.Link, Unreachable: n.Unreachable, Evidence: n.Evidence}
	}
	if c := p.Conntrack; c != nil {
		t.Conntrack = &Conntrack{Text: c.Text, Unreplied: c.Unreplied, SNAT: c.SNAT}
	}
	return t
}

func (r *routeV1) decision() RouteDecision {
	d := RouteDecision{Interface: r.Interface, Gateway: r.Gateway, Source: r.Source, Local: r.Local, Text: r.Text,
		By: r.By, Remove: r.Remove, Beatable: r.Beatable, Around: r.Around}
	kinds := [...]RouteKind{RouteUnknown, RouteFound, RouteNone, RouteUnreachable, RouteProhibited, RouteBlackhole}
	if r.Kind >= 0 && r.Kind < len(kinds) {
		d.Kind = kinds[r.Kind]
	}
	return d
}
