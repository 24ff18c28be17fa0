//go:build linux

package routing

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// table is one routing table of one family.
type table struct {
	routes []Route
	// first leads to the first route to each prefix, Route.next to the others, in
	// the kernel's order: by metric.
	first map[netip.Prefix]ends
	// lengths are the prefix lengths that occur, the longest first.
	lengths  []int
	defaults int // number of default routes
}

type ends struct{ head, tail int32 }

type tableID struct {
	ipv6  bool
	table Table
}

func (t *table) add(r Route) {
	i := int32(len(t.routes))
	if e, ok := t.first[r.Dst]; ok {
		t.routes[e.tail].next = i
		t.first[r.Dst] = ends{e.head, i}
	} else {
		t.first[r.Dst] = ends{i, i}
	}
	t.routes = append(t.routes, r)
	if r.Dst.Bits() == 0 {
		t.defaults++
	}
}

// index is to be called when all routes are there.
func (t *table) index() {
	var seen [129]bool
	for p := range t.first {
		seen[p.Bits()] = true
	}
	for n := len(seen) - 1; n >= 0; n-- {
		if seen[n] {
			t.lengths = append(t.lengths, n)
		}
	}
}

// covering yields, the longest prefix first, the routes to each prefix that
// contains dst.
func (t *table) covering(dst netip.Addr) func(yield func(node []*Route) bool) {
	return func(yield func([]*Route) bool) {
		for _, n := range t.lengths {
			p, err := dst.Prefix(n)
			if err != nil {
				continue // longer than the address
			}
			e, ok := t.first[p]
			if !ok {
				continue
			}
			var node []*Route
			for i := e.head; i >= 0; i = t.routes[i].next {
				node = append(node, &t.routes[i])
			}
			if !yield(node) {
				return
			}
		}
	}
}

// fewTables is up to how many tables are asked for one by one. Beyond that one
// dump of all is cheaper.
const fewTables = 32

// readRoutes reads the tables that a family's rules lead into.
func (s *Snapshot) readRoutes(sock *socket, family uint8) error {
	ipv6 := family == unix.AF_INET6
	want := s.reachable(ipv6)
	ask := func(t Table) error {
		body := make(message, unix.SizeofRtMsg)
		body[0] = family
		if t != 0 {
			body = body.with32(unix.RTA_TABLE, uint32(t))
		}
		got := make(map[Table]*table)
		var arena []Hop
		var r Route
		err := sock.dump(unix.RTM_GETROUTE, body, unix.RTM_NEWROUTE, func() { clear(got) }, func(msg []byte) {
			if len(msg) < unix.SizeofRtMsg || u32(msg[8:])&unix.RTM_F_CLONED != 0 {
				return // what was learnt for single destinations
			}
			before := len(arena)
			if !parseRoute(msg, &r, &arena) || !slices.Contains(want, r.Table) {
				return
			}
			if !s.wants(&r) {
				if len(arena) >= before { // not a new one
					arena = arena[:before]
				}
				return
			}
			to := got[r.Table]
			if to == nil {
				to = &table{first: make(map[netip.Prefix]ends)}
				got[r.Table] = to
			}
			for i := range r.Hops {
				r.Hops[i].Dev = s.name(r.Hops[i].Link)
			}
			to.add(r)
		})
		if errors.Is(err, unix.ENOENT) {
			err = nil // a rule may lead into a table that never had a route
		}
		for id, t := range got {
			t.index()
			s.tables[tableID{ipv6, id}] = t
		}
		return err
	}
	if !sock.strict || len(want) > fewTables {
		return ask(0)
	}
	for _, t := range want {
		if err := ask(t); err != nil {
			return fmt.Errorf("table %s: %w", t, err)
		}
	}
	return nil
}

// reachable returns the tables that the rules of a family lead into.
func (s *Snapshot) reachable(ipv6 bool) []Table {
	want := []Table{Local} // says whose an address is, whatever the rules
	add := func(t Table) {
		if t != 0 && !slices.Contains(want, t) {
			want = append(want, t)
		}
	}
	for _, r := range s.rules(ipv6) {
		switch {
		case r.Action != actionTable:
		case r.L3Mdev:
			for _, l := range s.links {
				add(l.vrf)
			}
		default:
			add(r.Table)
		}
	}
	return want
}

// wants reports whether the snapshot keeps a route. It keeps all that say whose
// an address is.
func (s *Snapshot) wants(r *Route) bool {
	if s.only == nil || r.Table == Local || r.Type == TypeLocal {
		return true
	}
	first, _ := slices.BinarySearchFunc(s.only, r.Dst.Masked().Addr(), netip.Addr.Compare)
	return first < len(s.only) && r.Dst.Contains(s.only[first]) // the addresses of a prefix are all in a row
}

// Routes returns the routes of a table in the kernel's order. They belong to the
// snapshot and must not be changed.
func (s *Snapshot) Routes(ipv6 bool, id Table) []Route {
	if t := s.tables[tableID{ipv6, id}]; t != nil {
		return t.routes
	}
	return nil
}

// AddrType returns whose an address is, as the kernel's table local and those of
// VRFs have it: TypeLocal for this host's own, with the route that says so.
// TypeUnicast, and no route, for all that is none of the host's.
func (s *Snapshot) AddrType(a netip.Addr) (Type, *Route) {
	a = a.Unmap().WithZone("")
	tables := []Table{Local}
	for _, l := range s.links {
		if l.vrf != 0 {
			tables = append(tables, l.vrf)
		}
	}
	for _, id := range tables {
		f := s.lookup(a.Is6(), id, &key{dst: a, src: unspecified(a.Is6())})
		if f.route != nil && f.route.Type > TypeUnicast && f.route.Type <= unix.RTN_MULTICAST {
			return f.route.Type, f.route
		}
	}
	switch {
	case a == limitedBroadcast:
		return TypeBroadcast, nil
	case a.IsMulticast():
		return TypeMulticast, nil
	}
	return TypeUnicast, nil
}
