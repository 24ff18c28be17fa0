package uplink

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe/host/routing"
)

// Look takes a picture. The ways are those to endpoints of packets that carry
// the mark, 0 for none. An endpoint that cannot be reached has the zero Way.
func Look(endpoints []netip.Addr, mark uint32) (State, error) {
	s, err := look()
	if err != nil {
		return State{}, err
	}
	for _, usual := range []struct {
		ipv6 bool
		to   *Way
	}{{false, &s.Default4}, {true, &s.Default6}} {
		d, err := routing.FirstDefault(usual.ipv6)
		if err != nil {
			return State{}, err
		}
		*usual.to = way(&d)
	}
	routes, err := routing.Begin()
	if err != nil {
		return State{}, err
	}
	defer routes.End()
	for _, e := range endpoints {
		if _, known := s.Ways[e]; known {
			continue
		}
		d, err := routes.Decide(routing.Flow{Dst: e, Mark: mark}.Own())
		if err != nil {
			return State{}, err
		}
		s.Ways[e] = way(&d)
	}
	return s, nil
}

// way is where a decision leads, none if nowhere.
func way(d *routing.Decision) Way {
	if d.Type.Rejects() || len(d.Hops) == 0 {
		return Way{}
	}
	h := &d.Hops[0]
	return Way{Link: h.Dev, Gateway: h.Gateway, Source: d.PrefSrc, MTU: d.MTU}
}

// Reachable reports whether the kernel has a way to an address for packets with
// the mark. What it does not want to tell counts as reachable.
func Reachable(a netip.Addr, mark uint32) bool {
	s, err := routing.Begin()
	if err != nil {
		return true
	}
	defer s.End()
	d, err := s.Decide(routing.Flow{Dst: a, Mark: mark}.Own())
	return err != nil || !d.Type.Rejects()
}
