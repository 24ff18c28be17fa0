//go:build linux

package observe

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/conntrack"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// Arrival is a packet that came in, and the routing tables that decide what becomes of
// it behind prerouting.
type Arrival struct {
	tables *routing.Snapshot
	flow   routing.Flow
}

// Arrive reads the routing tables for a packet that came in. It works in the network
// namespace of the calling thread. It returns false for a packet that started on this
// host, and if the tables cannot be read: then nothing is claimed.
func (p *Packet) Arrive() (Arrival, bool) {
	if p.Start != netfilter.Prerouting {
		return Arrival{}, false
	}
	h := p.routed()
	tables, err := routing.Take(routing.Options{Only: []netip.Addr{h.Src, h.Dst}})
	if err != nil {
		return Arrival{}, false
	}
	return Arrival{tables, routing.Flow{Src: h.Src, Dst: h.Dst, Proto: h.Proto, SPort: h.SrcPort, DPort: h.DstPort, Mark: h.Mark,
		IIF: routing.LinkName(h.In)}}, true
}

// routed is the packet as routing sees it, after prerouting.
func (p *Packet) routed() netfilter.Header {
	h := p.First
	for i := range p.Visits {
		v := &p.Visits[i]
		switch v.Chain.Hook {
		case netfilter.Input, netfilter.Forward:
			return v.Header
		case netfilter.Prerouting:
			if v.Header.Src.IsValid() {
				h = v.Header
			}
			if len(v.Steps) > 0 {
				h.Mark = v.Steps[len(v.Steps)-1].Mark
			}
		}
	}
	if p.Last.Dst.IsValid() { // which prerouting may have translated last of all; the source comes later
		h.Dst, h.DstPort = p.Last.Dst, p.Last.DstPort
	}
	return h
}

// Source checks the packet's source.
func (a Arrival) Source() *evidence.SourceCheck { return a.tables.SourceCheck(a.flow) }

// Own reports whether the packet is for this host itself.
func (a Arrival) Own() bool {
	t, _ := a.tables.AddrType(a.flow.Dst)
	return t == routing.TypeLocal
}

// Forwarding is whether this host forwards what comes in as the packet does.
func (a Arrival) Forwarding() *evidence.Forwarding {
	f := a.tables.Forwarding(a.flow.Dst.Is6(), a.flow.IIF)
	return &evidence.Forwarding{On: f.On, Evidence: f.Evidence, Fix: f.Fix}
}

// Route is where the packet is led, with the neighbor that must be found for that.
func (a Arrival) Route() evidence.RouteDecision {
	w := a.tables.Walk(a.flow)
	_ = a.tables.Verify(&w) // where the kernel does not answer the walk stands as it is
	r := a.tables.Evidence(&w)
	if n, resolves := a.tables.Neighbor(&w); resolves {
		r.Neighbor = n
	}
	return r
}

// Proxy is whether this host answers for the packet's source on the link that it leaves by.
func (a Arrival) Proxy(link string) *evidence.Proxy { return a.tables.Proxy(a.flow.Src, link) }

// Conntrack is what connection tracking has of the packet's flow, nil if it does not
// know it or cannot be asked.
func (p *Packet) Conntrack() *evidence.Conntrack {
	h := p.First
	e, err := conntrack.Get(conntrack.Tuple{Src: h.Src, Dst: h.Dst, Proto: h.Proto, SrcPort: h.SrcPort, DstPort: h.DstPort,
		ICMPType: h.ICMPType, ICMPCode: h.ICMPCode, ICMPID: h.ICMPID}, 0)
	if err != nil {
		return nil
	}
	_, snat := e.SNAT()
	return &evidence.Conntrack{Text: e.String(), Unreplied: e.Unreplied(), SNAT: snat}
}
