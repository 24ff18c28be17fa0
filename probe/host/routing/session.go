//go:build linux

package routing

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Session asks the kernel for its decisions over one socket, thousands at a time, as
// `ip route get` does. It gives no reasons: [Explain] does. It works in the network
// namespace of the thread that began it, and belongs to one goroutine at a time. What it
// learns of links it takes to stay so until it ends.
type Session struct {
	sock  *socket
	links Snapshot // of which it has the links only
}

// Begin opens the socket. The session must be ended.
func Begin() (*Session, error) {
	sock, err := open()
	if err != nil {
		return nil, err
	}
	s := &Session{sock: sock}
	if err := s.links.readLinks(sock); err != nil {
		sock.close()
		return nil, fmt.Errorf("list links: %w", err)
	}
	return s, nil
}

// End closes the socket.
func (s *Session) End() { s.sock.close() }

// Own returns the packet as one that this process sends: with its user.
func (f Flow) Own() Flow {
	f.UID = uint32(os.Geteuid())
	return f
}

// normal has a destination's zone as the link, and addresses in their shortest form.
func (f Flow) normal() Flow {
	if f.OIF == "" && f.IIF == "" {
		f.OIF = f.Dst.Zone()
	}
	f.Src, f.Dst = f.Src.Unmap().WithZone(""), f.Dst.Unmap().WithZone("")
	return f
}

// Decide returns the kernel's decision for a packet; its Type says so if that leads
// nowhere. Rule and Route are not set: the kernel does not tell them.
func (s *Session) Decide(f Flow) (Decision, error) {
	f = f.normal()
	if err := s.links.check(f); err != nil {
		return Decision{}, fmt.Errorf("look up a route: %w", err)
	}
	var a answer
	if err := s.links.askWay(s.sock, f, &a); err != nil {
		return Decision{}, fmt.Errorf("%s: %w", f, err)
	}
	d := a.decision()
	if d.Type.Rejects() || len(d.Hops) == 0 {
		return d, nil
	}
	l, err := s.link(d.Hops[0].Link)
	if l == nil {
		return Decision{}, err // gone since, and its routes with it
	}
	d.Table, d.Hops[0].Dev = a.route.Table, l.Name
	if d.MTU == 0 {
		d.MTU = l.MTU
	}
	return d, nil
}

// link returns the link of an index, nil if there is none. One may be new.
func (s *Session) link(index int) (*Link, error) {
	if l := s.links.links[index]; l != nil {
		return l, nil
	}
	if err := s.links.readLinks(s.sock); err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	return s.links.links[index], nil
}

// Matched returns the route of a table that the kernel would send a packet by, as `ip
// route get fibmatch` does; false if none decides.
func (s *Session) Matched(f Flow) (Route, bool, error) {
	f = f.normal()
	if err := s.links.check(f); err != nil {
		return Route{}, false, fmt.Errorf("look up a route: %w", err)
	}
	var r Route
	var errno unix.Errno
	err := s.links.askOne(s.sock, f, unix.RTM_F_FIB_MATCH, &r)
	switch {
	case errors.As(err, &errno) && slices.Contains(noRoute, errno):
		return Route{}, false, nil
	case err != nil:
		return Route{}, false, fmt.Errorf("%s fibmatch: %w", f, err)
	}
	return r, true, nil
}

// List returns the routes of a family in a table, 0 for all tables, in the kernel's order.
func List(ipv6 bool, id Table) ([]Route, error) {
	s, err := Begin()
	if err != nil {
		return nil, err
	}
	defer s.End()
	body := make(message, unix.SizeofRtMsg)
	body[0] = unix.AF_INET
	if ipv6 {
		body[0] = unix.AF_INET6
	}
	if id != 0 {
		body = body.with32(unix.RTA_TABLE, uint32(id))
	}
	var routes []Route
	var arena []Hop
	var r Route
	err = s.sock.dump(unix.RTM_GETROUTE, body, unix.RTM_NEWROUTE, func() { routes = nil }, func(msg []byte) {
		if len(msg) < unix.SizeofRtMsg || msg[0] != body[0] || u32(msg[8:])&unix.RTM_F_CLONED != 0 {
			return // of another family, where the kernel does not know this one; or learned for one destination
		}
		if !parseRoute(msg, &r, &arena) || id != 0 && r.Table != id {
			return
		}
		for i := range r.Hops {
			r.Hops[i].Dev = s.links.name(r.Hops[i].Link)
			if l := s.links.links[r.Hops[i].Link]; l != nil && r.linkMTU == 0 {
				r.linkMTU = l.MTU
			}
		}
		routes = append(routes, r)
	})
	if err != nil && !errors.Is(err, unix.ENOENT) { // that says: the table never had a route
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return routes, nil
}

// FirstDefault returns what the main table's default route decides that `ip route show
// default` lists first, the one with the least metric; Type is TypeNone if there is none.
// One that leads several ways at once does not count. PrefSrc is as the route prescribes
// it, often not at all.
func FirstDefault(ipv6 bool) (Decision, error) {
	routes, err := List(ipv6, Main)
	if err != nil {
		return Decision{}, err
	}
	for i := range routes {
		r := &routes[i]
		if r.Dst.Bits() == 0 && r.Type == TypeUnicast && len(r.Hops) == 1 {
			d := Decision{Type: TypeUnicast, Route: r, Table: Main, Hops: r.Hops, PrefSrc: r.PrefSrc, MTU: r.MTU}
			if d.MTU == 0 {
				d.MTU = r.linkMTU
			}
			return d, nil
		}
	}
	return Decision{}, nil
}

// Connected reports whether the route leads to a network that a link is in, without a
// gateway. A default route does not.
func (r *Route) Connected() bool {
	return r.Type == TypeUnicast && len(r.Hops) == 1 && !r.Hops[0].Gateway.IsValid() && r.Dst.Bits() > 0
}

// Advertised reports whether the kernel has the route from a router's advertisement
// (RFC 4861, section 6.3.4).
func (r *Route) Advertised() bool { return r.protocol == unix.RTPROT_RA }

// BypassLink returns the name of the link by which this host reaches dst but for the
// link own; "" if packets with the mark do not go into that one as it is, or if no other
// route is known. A socket that is bound to what is returned stays outside of own,
// whatever routes lead into it.
func BypassLink(dst netip.Addr, mark uint32, own string) (string, error) {
	s, err := Begin()
	if err != nil {
		return "", err
	}
	defer s.End()
	d, err := s.Decide(Flow{Dst: dst, Mark: mark}.Own())
	if err != nil || d.OutLink() != own {
		return "", err // to lead nowhere is an answer, too: who sends hears it
	}
	snap, err := Take(Options{Only: []netip.Addr{dst}})
	if err != nil {
		return "", fmt.Errorf("look for a route to %s around %s: %w", dst, own, err)
	}
	if h := snap.bypass(dst, own); h != nil {
		return h.Dev, nil
	}
	return "", nil
}
