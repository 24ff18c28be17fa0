//go:build linux

package route

import (
	"errors"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/link"
)

// Survey is what one address family's tables hold.
type Survey struct {
	// Tables are the numbers of those tables that hold a route.
	Tables map[int]bool
	// Default is the main table's first default route in ip(8)'s words, such
	// as "via 10.9.1.1 dev eth0"; "" if there is none.
	Default string
	// Networks are what else the main table leads to by an interface, such as
	// "10.9.1.0/24 dev eth0", in its order. Link-local networks are left out.
	Networks []string
}

// Look surveys the tables of a family.
func Look(ipv6 bool) (Survey, error) {
	s := Survey{Tables: make(map[int]bool)}
	names := make(map[int]string) // of the interfaces, by index
	routes, err := list(ipv6, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return Survey{}, err
	}
	for _, r := range routes {
		s.Tables[r.Table] = true
		if r.Table != unix.RT_TABLE_MAIN || r.Type != unix.RTN_UNICAST || r.LinkIndex == 0 {
			continue
		}
		if err := s.add(r, names); err != nil {
			return Survey{}, err
		}
	}
	return s, nil
}

// add takes a route of the main table into account.
func (s *Survey) add(r netlink.Route, names map[int]string) error {
	dst := netip.Prefix{}
	if r.Dst != nil {
		ones, _ := r.Dst.Mask.Size()
		dst = netip.PrefixFrom(addr(r.Dst.IP), ones)
	}
	isDefault := r.Dst == nil || dst.Bits() == 0
	if isDefault && s.Default != "" || dst.Addr().IsLinkLocalUnicast() || dst.Addr().IsMulticast() {
		return nil
	}
	name, ok := names[r.LinkIndex]
	if !ok {
		l, err := link.ByIndex(r.LinkIndex)
		if errors.Is(err, link.ErrNotFound) {
			return nil // gone since, and its routes with it
		}
		if err != nil {
			return err
		}
		name = l.Name
		names[r.LinkIndex] = name
	}
	way := "dev " + name
	if gw := addr(r.Gw); gw.IsValid() {
		way = "via " + gw.String() + " " + way
	}
	if isDefault {
		s.Default = way
	} else {
		s.Networks = append(s.Networks, dst.String()+" "+way)
	}
	return nil
}
