//go:build linux

package routing

import (
	"maps"
	"net/netip"
	"slices"
)

// found is what a lookup in one table gives.
type found struct {
	route *Route // nil if there is none
	hops  []Hop  // of the route, or of ones like it: those that may be taken
	// unusable is a route that would have been taken, were its links not down.
	unusable *Route
	// sourced: routes for some sources only were met on the way. Which of those the
	// kernel sees depends on what was added and deleted before.
	sourced bool
}

// lookup looks a packet up in one table.
func (s *Snapshot) lookup(ipv6 bool, id Table, k *key) found {
	t := s.tables[tableID{ipv6, id}]
	switch {
	case t == nil:
		return found{}
	case ipv6:
		return s.lookup6(t, k)
	}
	return s.lookup4(t, k)
}

// Around returns the command that leads packets to dst past a link, such as the
// tunnel that must not carry its own encrypted packets: by the way that they would
// take if the link had no routes. It is "" if no other way is known. A rule before
// the table main may still lead elsewhere; walk again to see.
func (s *Snapshot) Around(dst netip.Addr, link string) string {
	dst = dst.Unmap().WithZone("")
	h := s.bypass(dst, link)
	if h == nil {
		return ""
	}
	w := new(words)
	w.add(ipCommand(dst.Is6()), "route add", dst.String())
	h.way(w, dst.Is6())
	return w.String()
}

// bypass is where packets to dst would go if the link had no routes, nil if nowhere.
func (s *Snapshot) bypass(dst netip.Addr, link string) *Hop {
	dst = dst.Unmap().WithZone("")
	tables := s.reachable(dst.Is6())
	if i := slices.Index(tables, Main); i >= 0 { // first
		tables[0], tables[i] = tables[i], tables[0]
	}
	for _, id := range tables {
		t := s.tables[tableID{dst.Is6(), id}]
		if t == nil || id == Local {
			continue
		}
		for node := range t.covering(dst) {
			for _, r := range node {
				if r.Type != TypeUnicast || r.Src.IsValid() || r.TOS != 0 {
					continue
				}
				for i := range r.Hops {
					if h := &r.Hops[i]; h.Dev != link && !h.Dead {
						return h
					}
				}
			}
		}
	}
	return nil
}

// lookup4 is fib_table_lookup in the kernel's net/ipv4/fib_trie.c, and the choice
// among several ways, fib_select_path in net/ipv4/fib_semantics.c. A route that
// rejects ends the search, one of type throw too: there is no shorter prefix then.
func (s *Snapshot) lookup4(t *table, k *key) found {
	var f found
	for node := range t.covering(k.dst) {
		for i, r := range node {
			if r.TOS != 0 && r.TOS != k.tos&tosMask {
				continue
			}
			if r.Type.Rejects() || r.untold() {
				return found{route: r}
			}
			hops := r.Hops
			if slices.ContainsFunc(hops, func(h Hop) bool { return !h.good(k) }) {
				hops = nil
				for _, h := range r.Hops {
					if h.good(k) {
						hops = append(hops, h)
					}
				}
			}
			if len(hops) == 0 {
				if k.oif == 0 {
					f.setUnusable(r)
				}
				continue
			}
			switch {
			case k.oif != 0:
				hops = hops[:1]
			case len(r.Hops) == 1 && r.Dst.Bits() == 0 && t.defaults > 1 && r.Type == TypeUnicast:
				hops = slices.Concat(hops, alternatives(node[i+1:], r, k))
			}
			return found{route: r, hops: hops}
		}
	}
	return f
}

// good reports whether a hop may be taken: fib_lookup_good_nhc.
func (h *Hop) good(k *key) bool { return !h.Dead && (k.oif == 0 || k.oif == h.Link) }

// alternatives are the gateways of other default routes of the same metric, of
// which the kernel takes one whose neighbour answers: fib_select_default.
func alternatives(others []*Route, r *Route, k *key) []Hop {
	var hops []Hop
	metric, tos := r.Metric, r.TOS
	for _, o := range others {
		if o.TOS != 0 && o.TOS != k.tos&tosMask {
			continue
		}
		if o.Metric > metric && o.TOS == tos {
			if tos != 0 {
				continue
			}
			break
		}
		metric, tos = o.Metric, o.TOS
		if o.Type == TypeUnicast && o.scope == r.scope && len(o.Hops) > 0 && o.Hops[0].Gateway.IsValid() && !o.Hops[0].Dead {
			hops = append(hops, o.Hops[0])
		}
	}
	return hops
}

// lookup6 is fib6_table_lookup in the kernel's net/ipv6/route.c. A host that does
// not forward passes gateways by that do not answer, as long as there are others.
//
// Where a prefix has routes for some sources only, and not for this one, the
// kernel begins its search with a shorter prefix: fib6_node_lookup_1 in
// net/ipv6/ip6_fib.c. The routes to the prefix for all sources are found only on
// the way back from a longer one. What the kernel goes by there is the first route
// that ever came to a prefix, if it is still there, and cannot be known.
func (s *Snapshot) lookup6(t *table, k *key) found {
	var f found
	for _, answering := range []bool{true, false} {
		if answering && s.all6.forwarding != 0 {
			continue
		}
		below := false // the search began at a longer prefix
		for node := range t.covering(k.dst) {
			leaves, sourced := bySource(node, k.src)
			f.sourced = f.sourced || sourced
			if len(leaves) == 0 {
				continue
			}
			forAll := !leaves[0][0].Src.IsValid()
			if sourced && forAll && !below && node[0].Dst.Bits() > 0 {
				f.setUnusable(leaves[0][0])
				continue
			}
			below = true
			for _, leaf := range leaves {
				if leaf[0].untold() {
					return found{route: leaf[0]}
				}
				if r, h := s.select6(leaf, k, answering); r != nil {
					return found{route: r, hops: s.ways6(r, h, k, answering), sourced: f.sourced}
				}
				if !k.strict {
					f.setUnusable(leaf[0])
				}
			}
		}
	}
	return f
}

func (f *found) setUnusable(r *Route) {
	if f.unusable == nil {
		f.unusable = r
	}
}

// bySource divides the routes to a prefix into those that are for the source
// only, the longest prefix first, and those for all. It reports whether any are
// for some sources only.
func bySource(node []*Route, src netip.Addr) (leaves [][]*Route, sourced bool) {
	if !slices.ContainsFunc(node, func(r *Route) bool { return r.Src.IsValid() }) {
		return [][]*Route{node}, false
	}
	byLength := make(map[int][]*Route)
	for _, r := range node {
		switch {
		case !r.Src.IsValid():
			byLength[0] = append(byLength[0], r)
		case r.Src.Contains(src):
			byLength[r.Src.Bits()] = append(byLength[r.Src.Bits()], r)
		}
	}
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(byLength))) {
		leaves = append(leaves, byLength[n])
	}
	return leaves, true
}

// select6 is find_rr_leaf: the best scored of the routes with the least metric,
// or, if none of those can be used, of all the others, whatever their metrics.
func (s *Snapshot) select6(leaf []*Route, k *key, answering bool) (*Route, *Hop) {
	n := 0
	for n < len(leaf) && leaf[n].Metric == leaf[0].Metric {
		n++
	}
	for _, group := range [][]*Route{leaf[:n], leaf[n:]} {
		var best *Route
		var way *Hop
		top := -1
		for _, r := range group {
			for i := range r.Hops {
				if m := s.score6(r, &r.Hops[i], k, answering); m > top {
					best, way, top = r, &r.Hops[i], m
				}
			}
		}
		if best != nil {
			return best, way
		}
	}
	return nil, nil
}

// score6 is find_match and rt6_score_route. A way of score -1 cannot be used. It
// takes the kernel to be built with CONFIG_IPV6_ROUTER_PREF, as all are that
// distributions ship.
func (s *Snapshot) score6(r *Route, h *Hop, k *key, answering bool) int {
	if h.Dead {
		return -1
	}
	m := 0
	switch {
	case k.routeLink == 0 || k.routeLink == h.Link:
		m = 2
	case k.strict:
		return -1
	}
	m |= int(r.pref^2) << 2 // 1 low, 2 medium, 3 high
	if answering && h.Gateway.IsValid() && s.neighbors[neighborID{h.Link, h.Gateway}].State == stateFailed {
		return -1
	}
	return m
}

// ways6 is fib6_select_path: a route with several ways leads by any that can be
// used.
func (s *Snapshot) ways6(r *Route, chosen *Hop, k *key, answering bool) []Hop {
	if len(r.Hops) == 1 {
		return r.Hops
	}
	hops := []Hop{*chosen}
	for i := range r.Hops {
		if h := &r.Hops[i]; h != chosen && s.score6(r, h, k, answering) >= 0 {
			hops = append(hops, *h)
		}
	}
	return hops
}
