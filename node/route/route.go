//go:build linux

// Package route adds and deletes routes, as `ip route` does, over rtnetlink(7). Which routes
// there are and where packets go says package probe/host/routing.
//
// All functions work in the network namespace of the calling thread and may be
// called from many goroutines.
package route

import (
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
