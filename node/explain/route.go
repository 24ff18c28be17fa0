//go:build linux

package explain

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// found is where routing leads a packet.
type found struct {
	evidence.RouteDecision
	mtu  int    // bytes; of the way, 0 if not known
	link string // that it leaves by; one of them if it may take several
}

// endpointRoutes looks up where the node's encrypted packets to each endpoint go,
// all of them at once: a hub has thousands of peers.
func (s *Subject) endpointRoutes(port uint16, mark uint32, endpoints []netip.AddrPort) map[netip.AddrPort]found {
	routes := make(map[netip.AddrPort]found)
	if !s.Kernel || len(endpoints) == 0 {
		return routes
	}
	flows := make([]routing.Flow, len(endpoints))
	for i, ep := range endpoints {
		flows[i] = routing.Flow{Dst: ep.Addr(), DPort: ep.Port(), SPort: port, Proto: probe.ProtoUDP, Mark: mark}.Own()
	}
	for i, r := range routesOf(flows, s.Interface) {
		routes[endpoints[i]] = r
	}
	return routes
}

// wayOf asks which way this host's own packets to an address go.
func wayOf(dst netip.AddrPort, proto uint8, mark uint32, link string) evidence.RouteDecision {
	return wayFrom(netip.Addr{}, dst, proto, mark, link)
}

// wayFrom is wayOf for packets whose source is known.
func wayFrom(src netip.Addr, dst netip.AddrPort, proto uint8, mark uint32, link string) evidence.RouteDecision {
	f := routing.Flow{Src: src, Dst: dst.Addr(), DPort: dst.Port(), Proto: proto, Mark: mark}.Own()
	return routesOf([]routing.Flow{f}, link)[0].RouteDecision
}

// routesOf looks packets up, those that routing leads into link also past it. There is
// one result for each flow, in their order.
func routesOf(flows []routing.Flow, link string) []found {
	all := make([]found, len(flows))
	for i, e := range routing.ExplainAll(flows) {
		r := &all[i]
		if e.Err != nil {
			r.Text = e.Err.Error()
			continue
		}
		d := &e.Walk.Decision
		r.RouteDecision, r.mtu = decided(&e.Walk, e.Snapshot), d.MTU
		if len(d.Hops) > 0 {
			r.link = d.Hops[0].Dev
		}
		if r.Kind == evidence.RouteFound && r.Interface == link {
			r.Around = e.Snapshot.Around(e.Walk.Flow.Dst, link)
		}
	}
	return all
}

// decided words a walk as a fact.
func decided(w *routing.Walk, s *routing.Snapshot) evidence.RouteDecision {
	d := &w.Decision
	r := evidence.RouteDecision{Interface: d.OutLink(), Gateway: d.Gateway(), Source: d.PrefSrc, Local: d.Type == routing.TypeLocal,
		Remove: d.Delete()}
	switch d.Type {
	case routing.TypeNone:
		r.Kind = evidence.RouteNone
	case routing.TypeUnreachable:
		r.Kind = evidence.RouteUnreachable
	case routing.TypeProhibit:
		r.Kind = evidence.RouteProhibited
	case routing.TypeBlackhole:
		r.Kind = evidence.RouteBlackhole
	default:
		r.Kind = evidence.RouteFound
	}
	switch {
	case d.Route != nil:
		r.Text = d.Route.String()
		r.Beatable = !d.Route.Dst.IsSingleIP() && (d.Table == routing.Main || mainFirst(s, d.Rule))
	default:
		r.Text = d.Type.String()
	}
	if d.Rule != nil {
		r.By = d.Rule.String()
	}
	return r
}

// mainFirst reports whether the main table is asked before the rule that decided,
// so that a route there would have won.
func mainFirst(s *routing.Snapshot, decided *routing.Rule) bool {
	if decided == nil {
		return false
	}
	rules := s.Rules4
	if decided.IPv6 {
		rules = s.Rules6
	}
	for i := range rules {
		r := &rules[i]
		if r.Priority >= decided.Priority {
			break
		}
		everything := !r.Not && !r.From.IsValid() && !r.To.IsValid() && r.Mark == 0 && r.MarkMask == 0 && r.IIF == "" && r.OIF == "" && r.IPProto == 0
		if everything && r.Action == routing.ActionTable && r.Table == routing.Main {
			return true
		}
	}
	return false
}
