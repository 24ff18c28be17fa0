//go:build linux

// Package route adds and deletes routes, as `ip route` does, over rtnetlink(7), and lists
// those that it has added. Where packets go package probe/host/routing says.
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
// main table. The error wraps an [*ExistsError] if the table has a route to the same
// prefix with the same metric, whatever its interface.
func Add(l link.Link, p netip.Prefix, table int) error {
	return add(&netlink.Handle{}, l, p, table)
}

func add(h *netlink.Handle, l link.Link, p netip.Prefix, table int) error {
	if err := h.RouteAdd(message(l, p, table)); err != nil {
		return fmt.Errorf("add route %s dev %s%s: %w", p, l.Name, inTable(table), whose(err, p, table))
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

// Replace is Add, but a route of the same prefix that leads elsewhere is replaced.
func Replace(l link.Link, p netip.Prefix, table int) error {
	if err := netlink.RouteReplace(message(l, p, table)); err != nil {
		return fmt.Errorf("replace route %s dev %s%s: %w", p, l.Name, inTable(table), err)
	}
	return nil
}

// To returns the prefixes of a family that a table leads to an interface without
// a gateway. Table 0 is the main one.
func To(l link.Link, ipv6 bool, table int) (map[netip.Prefix]bool, error) {
	return prefixes(ipv6, table, func(r netlink.Route) bool {
		return r.Type == unix.RTN_UNICAST && r.LinkIndex == l.Index && r.Gw == nil && r.Via == nil
	})
}

// Throws returns the prefixes of a family that have a throw route in a table.
func Throws(ipv6 bool, table int) (map[netip.Prefix]bool, error) {
	return prefixes(ipv6, table, func(r netlink.Route) bool { return r.Type == unix.RTN_THROW })
}

func prefixes(ipv6 bool, table int, which func(netlink.Route) bool) (map[netip.Prefix]bool, error) {
	if table == 0 {
		table = unix.RT_TABLE_MAIN
	}
	routes, err := list(ipv6, &netlink.Route{Table: table}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, err
	}
	found := make(map[netip.Prefix]bool)
	for _, r := range routes {
		if which(r) {
			found[destination(r)] = true
		}
	}
	return found, nil
}

// ReplaceThrow is AddThrow, but a route of the same prefix is replaced.
func ReplaceThrow(p netip.Prefix, table int) error {
	if err := netlink.RouteReplace(throw(p, table)); err != nil {
		return fmt.Errorf("replace route throw %s%s: %w", p, inTable(table), err)
	}
	return nil
}

// AddThrow adds a route to the table of that number that ends the search there
// as if nothing had matched: the rules that follow are asked. The error wraps an
// [*ExistsError] if the table has a route to the same prefix.
func AddThrow(p netip.Prefix, table int) error {
	if err := netlink.RouteAdd(throw(p, table)); err != nil {
		return fmt.Errorf("add route throw %s%s: %w", p, inTable(table), whose(err, p, table))
	}
	return nil
}

// DeleteThrow deletes what AddThrow added. The error wraps ESRCH if it is not
// there.
func DeleteThrow(p netip.Prefix, table int) error {
	if err := netlink.RouteDel(throw(p, table)); err != nil {
		return fmt.Errorf("delete route throw %s%s: %w", p, inTable(table), err)
	}
	return nil
}

func throw(p netip.Prefix, table int) *netlink.Route {
	r := message(link.Link{}, p, table)
	r.Type, r.Scope = unix.RTN_THROW, netlink.SCOPE_UNIVERSE
	return r
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

// list returns the routes of a family that a filter lets through.
func list(ipv6 bool, filter *netlink.Route, by uint64) ([]netlink.Route, error) {
	family := netlink.FAMILY_V4
	if ipv6 {
		family = netlink.FAMILY_V6
	}
	const attempts = 5
	var routes []netlink.Route
	var err error
	for range attempts { // a dump is interrupted if routes change meanwhile
		routes, err = netlink.RouteListFiltered(family, filter, by)
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return routes, nil
}

// addr translates an address; nil becomes the zero Addr.
func addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
