//go:build linux

package routing

import (
	"fmt"
	"net/netip"

	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/harmless"
)

// Evidence returns what a walk through the snapshot came to. Steps are not set, see
// [Walk.Account], nor is Around, see [Snapshot.Around].
func (s *Snapshot) Evidence(w *Walk) evidence.RouteDecision {
	d := &w.Decision
	r := evidence.RouteDecision{Kind: d.Type.kind(), Interface: d.OutLink(), Gateway: d.gateway(), Source: d.PrefSrc,
		Local: d.Type == TypeLocal, Broadcast: d.Type == TypeBroadcast, Mark: w.Flow.Mark, Text: d.what(), Remove: d.Delete()}
	if d.Table == Local {
		r.Remove = "" // without it the host does not know its own address
	}
	if d.Route != nil {
		r.Beatable = !d.Route.Dst.IsSingleIP() && (d.Table == Main || s.mainFirst(d.Rule))
	}
	if d.Rule != nil {
		r.By, r.Ahead = d.Rule.String(), s.ahead(w)
	}
	s.overruled(w, &r)
	return r
}

// overruled notes that the packet is for this host itself, and that a rule which is asked
// before table local sends it elsewhere: it was put ahead of that, as VRFs have it, or
// table local has no rule any more. What belongs to a VRF is in that one's table.
func (s *Snapshot) overruled(w *Walk, r *evidence.RouteDecision) {
	d := &w.Decision
	dst := w.Flow.Dst
	if d.Rule == nil || d.Table == Local || d.Type == TypeLocal || d.Type == TypeBroadcast || d.Type == TypeMulticast {
		return
	}
	f := s.lookup(dst.Is6(), Local, &key{dst: dst, src: unspecified(dst.Is6())})
	if f.route == nil || f.route.Type != TypeLocal {
		return
	}
	r.Overruled = f.route.String()
	if d.Rule.Priority == 0 { // nothing comes before it
		r.LocalFirst = d.Rule.Delete()
		return
	}
	family := "-4"
	if dst.Is6() {
		family = "-6"
	}
	r.LocalFirst = harmless.Command("ip %s rule add pref %d to %s lookup local", family, d.Rule.Priority-1, dst)
}

// kind is the type for evidence.
func (t Type) kind() evidence.RouteKind {
	switch t {
	case TypeNone:
		return evidence.RouteNone
	case TypeUnreachable:
		return evidence.RouteUnreachable
	case TypeProhibit:
		return evidence.RouteProhibited
	case TypeBlackhole:
		return evidence.RouteBlackhole
	}
	return evidence.RouteFound
}

// mainFirst reports whether the main table is asked before the rule that decided,
// so that a route there would have won.
func (s *Snapshot) mainFirst(decided *Rule) bool {
	if decided == nil {
		return false
	}
	for _, r := range s.rules(decided.IPv6) {
		if r.Priority >= decided.Priority {
			break
		}
		everything := !r.Not && !r.From.IsValid() && !r.To.IsValid() && r.Mark == 0 && r.MarkMask == 0 &&
			r.IIF == "" && r.OIF == "" && r.IPProto == 0
		if everything && r.Action == actionTable && r.Table == Main {
			return true
		}
	}
	return false
}

// Account says how the decision came about, one line each: the rules that were tried,
// what the kernel says, and what stands against it.
func (w *Walk) Account() []string {
	var lines []string
	if w.Unexplained == "" {
		lines = w.tried()
	}
	if w.Verified {
		lines = append(lines, "the kernel says the same: "+w.Flow.String())
	}
	for _, s := range []string{w.Unexplained, w.Doubt, w.Refused} {
		if s != "" {
			lines = append(lines, s)
		}
	}
	return lines
}

// tried are the rules, and what came of each.
func (w *Walk) tried() []string {
	var lines []string
	for i := range w.Steps {
		lines = append(lines, w.Steps[i].String())
	}
	return lines
}

// Neighbor returns what is known of the host that must take a walk's packet on the link
// that it leaves by: nil if there is none, as for a packet that stays. resolves says that
// its link address must be found first, by ARP or NDP.
func (s *Snapshot) Neighbor(w *Walk) (n *evidence.Neighbor, resolves bool) {
	d := &w.Decision
	if len(d.Hops) == 0 || d.Type == TypeLocal {
		return nil, false
	}
	next := s.nextHop(w.Flow.Dst, d.Hops[0])
	return next.evidence(), next.Resolves
}

func (n *nextHop) evidence() *evidence.Neighbor {
	return &evidence.Neighbor{Addr: n.Addr, Link: n.Dev, Unreachable: n.unreachable(),
		Pending: n.Resolves && n.known.State == stateIncomplete, Evidence: n.String()}
}

// LookUpNeighbor returns what is known of a host on a link by now.
func LookUpNeighbor(addr netip.Addr, link string) (*evidence.Neighbor, error) {
	s, err := Take(Options{Only: []netip.Addr{addr}})
	if err != nil {
		return nil, err
	}
	l := s.Link(link)
	if l == nil {
		return nil, fmt.Errorf("look up neighbor %s: link %s is gone", addr, link)
	}
	n := s.nextHop(addr, Hop{Dev: link, Link: l.Index})
	return n.evidence(), nil
}

// SourceCheck looks up what the kernel makes of a packet that comes in on f.IIF: whether
// its source has it dropped, and whether it is for this host. The snapshot must hold
// routes to both addresses.
func (s *Snapshot) SourceCheck(f Flow) *evidence.SourceCheck {
	rp := s.reversePath(f)
	c := &evidence.SourceCheck{Drops: rp.Drops, Doubt: rp.Doubt, Evidence: rp.Evidence, Fix: rp.Fix, Dst: f.Dst}
	if rp.Setting.Name != "" {
		c.Setting = fmt.Sprintf("%v (%v)", rp.Setting, rp.Mode)
	}
	if rp.Back != nil {
		c.Back = s.Evidence(rp.Back)
		c.Back.Steps = rp.Back.tried()
	}
	if kind, route := s.AddrType(f.Dst); kind == TypeLocal {
		c.Own, c.OwnRoute = true, route.String()
	}
	return c
}
