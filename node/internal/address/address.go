//go:build linux

// Package address adds, deletes and lists the IP addresses of an interface, as
// `ip address` does, over rtnetlink(7).
//
// All functions work in the network namespace of the calling thread and may be
// called from many goroutines.
package address

import (
	"errors"
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

// List returns the addresses that the interface has, of one family, in the order
// in which `ip address` lists them. Those that the kernel made up itself are
// among them.
func List(l link.Link, ipv6 bool) ([]netip.Addr, error) {
	family := netlink.FAMILY_V4
	if ipv6 {
		family = netlink.FAMILY_V6
	}
	prefixes, err := list(l, family)
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, p := range prefixes {
		addrs = append(addrs, p.Addr())
	}
	return addrs, nil
}

// Prefixes returns the addresses that the interface has, with the lengths of
// their networks, IPv4 first, else as List does.
func Prefixes(l link.Link) ([]netip.Prefix, error) { return list(l, netlink.FAMILY_ALL) }

func list(l link.Link, family int) ([]netip.Prefix, error) {
	const attempts = 5
	var list []netlink.Addr
	var err error
	for range attempts { // a dump is interrupted if addresses change meanwhile
		list, err = netlink.AddrList(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: l.Index}}, family)
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list addresses dev %s: %w", l.Name, err)
	}
	var prefixes []netip.Prefix
	for _, a := range list {
		ip, ok := netip.AddrFromSlice(a.IP)
		bits, size := a.Mask.Size()
		if !ok {
			continue
		}
		if size == net.IPv4len*8 {
			ip = ip.Unmap()
		}
		prefixes = append(prefixes, netip.PrefixFrom(ip, bits))
	}
	return prefixes, nil
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
