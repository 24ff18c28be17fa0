//go:build linux

package route

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/link"
)

// Network is what an interface leads to without a gateway.
type Network struct {
	Link   string
	Prefix netip.Prefix
}

// Connected returns the networks of a family that the main table leads to
// without a gateway, in its order. A default route is none.
func Connected(ipv6 bool) ([]Network, error) {
	routes, err := list(ipv6, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, err
	}
	var networks []Network
	names := make(map[int]string) // of the interfaces, by index
	for _, r := range routes {
		if r.Type != unix.RTN_UNICAST || r.LinkIndex == 0 || r.Gw != nil || r.Via != nil || r.Dst == nil {
			continue
		}
		ones, _ := r.Dst.Mask.Size()
		if ones == 0 {
			continue
		}
		name, ok := names[r.LinkIndex]
		if !ok {
			l, err := link.ByIndex(r.LinkIndex)
			if errors.Is(err, link.ErrNotFound) {
				continue // gone since, and its routes with it
			}
			if err != nil {
				return nil, err
			}
			name = l.Name
			names[r.LinkIndex] = name
		}
		networks = append(networks, Network{name, netip.PrefixFrom(addr(r.Dst.IP), ones)})
	}
	return networks, nil
}

// Advertised returns IPv6's default routes that the kernel has learnt from
// routers' advertisements (RFC 4861 section 6.3.4).
func Advertised() ([]Result, error) {
	filter := &netlink.Route{Table: unix.RT_TABLE_MAIN, Protocol: unix.RTPROT_RA}
	routes, err := list(true, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, r := range routes {
		if r.Dst != nil {
			if ones, _ := r.Dst.Mask.Size(); ones != 0 {
				continue
			}
		}
		switch res, err := result(r, link.ByIndex); {
		case errors.Is(err, link.ErrNotFound): // gone since
		case err != nil:
			return nil, err
		default:
			results = append(results, res)
		}
	}
	return results, nil
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
