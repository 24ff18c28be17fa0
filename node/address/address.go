//go:build linux

// Package address adds and deletes the IP addresses of an interface, as
// `ip address add` and `delete` do, over rtnetlink(7).
//
// All functions work in the network namespace of the calling thread and may be
// called from many goroutines.
package address

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/wgnode/wgnode/node/link"
)

// Add gives the interface an address. Its prefix length makes the kernel add a
// route to the network, once the interface is up. The error wraps EEXIST if
// the interface has the address already.
func Add(l link.Link, p netip.Prefix) error {
	if err := netlink.AddrAdd(nil, message(l, p)); err != nil {
		return fmt.Errorf("add address %s dev %s: %w", p, l.Name, err)
	}
	return nil
}

// Delete takes an address from the interface. The error wraps EADDRNOTAVAIL if
// it does not have it.
func Delete(l link.Link, p netip.Prefix) error {
	if err := netlink.AddrDel(nil, message(l, p)); err != nil {
		return fmt.Errorf("delete address %s dev %s: %w", p, l.Name, err)
	}
	return nil
}

func message(l link.Link, p netip.Prefix) *netlink.Addr {
	return &netlink.Addr{
		LinkIndex: l.Index,
		IPNet: &net.IPNet{
			IP:   p.Addr().AsSlice(),
			Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		},
		// Like ip(8), set no broadcast address. Left nil, the library makes one up.
		Broadcast: net.IPv4zero,
	}
}
