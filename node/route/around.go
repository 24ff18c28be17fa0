//go:build linux

package route

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/link"
)

// Around returns the name of the interface by which this host reaches dst but for
// the interface own; "" if packets with the mark do not go into that one as it is,
// or if there is no other way. A socket that is bound to what is returned stays
// outside of own, whatever routes lead into it.
func Around(dst netip.Addr, mark uint32, own string) (string, error) {
	r, err := Lookup(dst, mark)
	if err != nil || r.OifName != own {
		return "", nil // no way is an answer, too: who sends hears it
	}
	dst = dst.Unmap()
	routes, err := list(dst.Is6(), &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return "", fmt.Errorf("look for a way to %s around %s: %w", dst, own, err)
	}
	best, bits, by := netlink.Route{}, 0, 0
	for _, c := range routes {
		n, oif := reaches(c, dst, r.Oif)
		isMain, bestMain := c.Table == unix.RT_TABLE_MAIN, best.Table == unix.RT_TABLE_MAIN
		switch {
		case oif == 0:
			continue
		case by == 0, isMain && !bestMain:
		case isMain != bestMain, n < bits, n == bits && c.Priority >= best.Priority:
			continue
		}
		best, bits, by = c, n, oif
	}
	if by == 0 {
		return "", nil
	}
	l, err := link.ByIndex(by)
	if err != nil {
		return "", fmt.Errorf("look for a way to %s around %s: %w", dst, own, err)
	}
	return l.Name, nil
}

// reaches returns the interface by which a route leads to dst, 0 if it does not or
// only by own, and how long its prefix is.
func reaches(r netlink.Route, dst netip.Addr, own int) (bits, oif int) {
	if r.Type != unix.RTN_UNICAST || r.Table == unix.RT_TABLE_LOCAL || r.Flags&(unix.RTNH_F_DEAD|unix.RTNH_F_LINKDOWN) != 0 {
		return 0, 0
	}
	if r.Dst != nil {
		bits, _ = r.Dst.Mask.Size()
		if !netip.PrefixFrom(addr(r.Dst.IP), bits).Contains(dst) {
			return 0, 0
		}
	}
	oif = r.LinkIndex
	for _, hop := range r.MultiPath {
		if oif == 0 && hop.LinkIndex != own {
			oif = hop.LinkIndex
		}
	}
	if oif == own {
		return 0, 0
	}
	return bits, oif
}
