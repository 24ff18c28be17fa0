//go:build linux

// Package route adds, deletes and looks up routes, as `ip route` does, over
// rtnetlink(7).
//
// All functions work in the network namespace of the calling thread and may be
// called from many goroutines.
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

// Add adds a route through the interface to the table of that number; 0 is the
// main table. The error wraps EEXIST if the table has a route to the same prefix
// with the same metric, whatever its interface.
func Add(l link.Link, p netip.Prefix, table int) error {
	if err := netlink.RouteAdd(message(l, p, table)); err != nil {
		return fmt.Errorf("add route %s dev %s%s: %w", p, l.Name, inTable(table), err)
	}
	return nil
}

// Delete deletes what Add added. The error wraps ESRCH if it is not there.
func Delete(l link.Link, p netip.Prefix, table int) error {
	if err := netlink.RouteDel(message(l, p, table)); err != nil {
		return fmt.Errorf("delete route %s dev %s%s: %w", p, l.Name, inTable(table), err)
	}
	return nil
}

func inTable(table int) string {
	if table == 0 {
		return ""
	}
	return fmt.Sprintf(" table %d", table)
}

func message(l link.Link, p netip.Prefix, table int) *netlink.Route {
	p = p.Masked()
	if table == 0 {
		table = unix.RT_TABLE_MAIN
	}
	r := &netlink.Route{
		LinkIndex: l.Index,
		Dst: &net.IPNet{
			IP:   p.Addr().AsSlice(),
			Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		},
		Table:    table,
		Protocol: unix.RTPROT_BOOT, // what ip(8) uses, and what an administrator's routes have
		Type:     unix.RTN_UNICAST,
	}
	if p.Addr().Is4() {
		// The kernel insists: a route without a gateway leads to the link itself.
		// IPv6 has no scopes for routes.
		r.Scope = netlink.SCOPE_LINK
	}
	return r
}

// Default returns the IPv4 default route that `ip route show default` lists
// first, the one with the least metric; nil if there is none. Its Type is
// always TypeUnicast, and Src is as the route prescribes it, often not at all.
func Default() (*Result, error) { return defaultRoute(netlink.FAMILY_V4) }

// Default6 is Default for IPv6.
func Default6() (*Result, error) { return defaultRoute(netlink.FAMILY_V6) }

func defaultRoute(family int) (*Result, error) {
	const attempts = 5
	var routes []netlink.Route
	var err error
	for range attempts { // a dump is interrupted if routes change meanwhile
		routes, err = netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst != nil {
			if ones, _ := r.Dst.Mask.Size(); ones != 0 {
				continue
			}
		}
		if r.Type != unix.RTN_UNICAST || r.LinkIndex == 0 {
			continue // nowhere, or several ways at once
		}
		res, err := result(r)
		if err != nil {
			return nil, fmt.Errorf("default route: %w", err)
		}
		return &res, nil
	}
	return nil, nil
}
