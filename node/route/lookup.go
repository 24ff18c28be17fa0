//go:build linux

package route

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/link"
)

// What the kernel answers, instead of a route, wrapped in the errors of
// [Lookup]. They are told apart because their cures are: the first wants a
// route, the other three were put there by someone.
var (
	// ErrNoRoute: nothing in any table matches (ENETUNREACH).
	ErrNoRoute = errors.New("no route")
	// ErrUnreachable: a route of type unreachable matches (EHOSTUNREACH).
	ErrUnreachable = errors.New("an unreachable route matches")
	// ErrProhibit: a route or rule of type prohibit matches (EACCES).
	ErrProhibit = errors.New("a prohibit route or rule matches")
	// ErrBlackhole: a route or rule of type blackhole matches. The kernel says
	// EINVAL, which for a request of our making means nothing else.
	ErrBlackhole = errors.New("a blackhole route or rule matches")
)

// Type is what a route does with a packet, as in linux/rtnetlink.h.
type Type uint8

const (
	TypeUnicast   Type = unix.RTN_UNICAST   // sends it on
	TypeLocal     Type = unix.RTN_LOCAL     // keeps it: an address of this host
	TypeBroadcast Type = unix.RTN_BROADCAST // sends it to all on the link
	TypeAnycast   Type = unix.RTN_ANYCAST
	TypeMulticast Type = unix.RTN_MULTICAST
)

// String returns the word that ip(8) has for the type.
func (t Type) String() string {
	switch t {
	case TypeUnicast:
		return "unicast"
	case TypeLocal:
		return "local"
	case TypeBroadcast:
		return "broadcast"
	case TypeAnycast:
		return "anycast"
	case TypeMulticast:
		return "multicast"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Result is the way that the kernel chose for a packet.
type Result struct {
	Type     Type
	Oif      int    // index of the interface that it leaves by
	OifName  string // and its name
	Gateway  netip.Addr
	Src      netip.Addr // the source address that the kernel would choose
	RouteMTU int        // bytes; set on the route or learnt for the destination, 0 if neither
	LinkMTU  int        // bytes; the interface's
	Table    int
}

// MTU returns the largest packet in bytes that goes this way as far as the
// host knows: the route's own MTU if it has one, else the interface's.
func (r Result) MTU() int {
	if r.RouteMTU > 0 {
		return r.RouteMTU
	}
	return r.LinkMTU
}

// Lookup asks the kernel by which route it would send a packet with the given
// firewall mark to dst, as `ip route get DST mark MARK` does; mark 0 is no
// mark. The zone of an IPv6 address, an interface's name, restricts the lookup
// to that interface. If there is no way the error wraps one of ErrNoRoute,
// ErrUnreachable, ErrProhibit and ErrBlackhole.
func Lookup(dst netip.Addr, mark uint32) (Result, error) { return lookup(&Session{}, dst, mark) }

func lookup(s *Session, dst netip.Addr, mark uint32) (Result, error) {
	addr := dst.Unmap()
	opts := &netlink.RouteGetOptions{Mark: mark, Oif: addr.Zone()}
	routes, err := s.handle.RouteGetWithOptions(addr.WithZone("").AsSlice(), opts)
	if err != nil {
		return Result{}, fmt.Errorf("look up route to %s: %w", dst, translate(err))
	}
	if len(routes) == 0 {
		return Result{}, fmt.Errorf("look up route to %s: the kernel gave no answer", dst)
	}
	res, err := result(routes[0], s.link)
	if err != nil {
		return Result{}, fmt.Errorf("look up route to %s: %w", dst, err)
	}
	return res, nil
}

func translate(err error) error {
	switch {
	case errors.Is(err, unix.ENETUNREACH):
		return ErrNoRoute
	case errors.Is(err, unix.EHOSTUNREACH):
		return ErrUnreachable
	case errors.Is(err, unix.EACCES):
		return ErrProhibit
	case errors.Is(err, unix.EINVAL):
		return ErrBlackhole
	}
	return err
}

// result translates a route of the netlink library. byIndex looks up its link.
func result(r netlink.Route, byIndex func(int) (link.Link, error)) (Result, error) {
	res := Result{
		Type:     Type(r.Type),
		Oif:      r.LinkIndex,
		Gateway:  addr(r.Gw),
		Src:      addr(r.Src),
		RouteMTU: r.MTU,
		Table:    r.Table,
	}
	if via, ok := r.Via.(*netlink.Via); ok { // an IPv4 route through an IPv6 gateway
		res.Gateway = addr(via.Addr)
	}
	if r.LinkIndex == 0 {
		return res, nil
	}
	l, err := byIndex(r.LinkIndex)
	if err != nil {
		return Result{}, err
	}
	res.OifName, res.LinkMTU = l.Name, l.MTU
	return res, nil
}

// addr translates an address; nil becomes the zero Addr.
func addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
