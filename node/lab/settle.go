//go:build linux

package lab

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/patience"
)

// Settle waits for what the kernel does of its own accord, and in its own time, with
// the IPv6 addresses of links that are up: each can be used, and has its local route.
// Before that no two looks at a host are the same.
func (h *Host) Settle() {
	h.t.Helper()
	h.do("settle", func() error {
		limit := patience.Limit()
		for start := time.Now(); ; time.Sleep(2 * time.Millisecond) { // no event tells of them all
			missing, err := unsettled()
			if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) || err == nil && missing == "" {
				return err
			}
			if time.Since(start) > limit {
				return fmt.Errorf("waited %v for the route of %s", limit, missing)
			}
		}
	})
}

// unsettled names an address, of the calling thread's network namespace, that the
// kernel has not come to yet; "" if there is none.
func unsettled() (string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return "", fmt.Errorf("list links: %w", err)
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return "", fmt.Errorf("list routes: %w", err)
	}
	for _, link := range links {
		attrs := link.Attrs()
		if attrs.RawFlags&(unix.IFF_UP|unix.IFF_LOWER_UP) != unix.IFF_UP|unix.IFF_LOWER_UP {
			continue
		}
		addrs, err := netlink.AddrList(link, netlink.FAMILY_V6)
		if err != nil {
			return "", fmt.Errorf("list addresses of %s: %w", attrs.Name, err)
		}
		for _, a := range addrs {
			if a.Flags&unix.IFA_F_DADFAILED != 0 {
				continue // somebody else has it
			}
			if a.Flags&unix.IFA_F_TENTATIVE != 0 || !hasLocal(routes, attrs.Index, a.IP) {
				return fmt.Sprintf("%s of %s", a.IP, attrs.Name), nil
			}
		}
	}
	return "", nil
}

func hasLocal(routes []netlink.Route, link int, ip net.IP) bool {
	for _, r := range routes {
		if r.Type != unix.RTN_LOCAL || r.Dst == nil || !r.Dst.IP.Equal(ip) {
			continue
		}
		if r.LinkIndex == link || slices.ContainsFunc(r.MultiPath, func(n *netlink.NexthopInfo) bool { return n.LinkIndex == link }) {
			return true
		}
	}
	return false
}
