//go:build linux

package route

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Matched asks the kernel which route of the main table it would send a packet
// with the mark to dst by, as `ip route get fibmatch` does, and returns that
// route's prefix and interface. The prefix is not valid if a route of another table
// decides, or none does.
func (s *Session) Matched(dst netip.Addr, mark uint32) (netip.Prefix, string, error) {
	dst = dst.Unmap()
	found, err := s.handle.RouteGetWithOptions(
		dst.WithZone("").AsSlice(), &netlink.RouteGetOptions{Mark: mark, Oif: dst.Zone(), FIBMatch: true})
	switch {
	case err != nil && translate(err) != err:
		return netip.Prefix{}, "", nil // an answer, too: there is no route
	case err != nil:
		return netip.Prefix{}, "", fmt.Errorf("look up the route that matches %s: %w", dst, err)
	case len(found) == 0 || found[0].Table != unix.RT_TABLE_MAIN:
		return netip.Prefix{}, "", nil
	}
	r, err := result(found[0], s.link)
	if err != nil {
		return netip.Prefix{}, "", fmt.Errorf("look up the route that matches %s: %w", dst, err)
	}
	return destination(found[0]), r.OifName, nil
}
