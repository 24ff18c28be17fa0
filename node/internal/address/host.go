package address

import (
	"net"
	"net/netip"
)

// OfHost are the addresses of this host; none where they cannot be listed.
func OfHost() (own []netip.Addr) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if p, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(p.IP); ok {
				own = append(own, addr.Unmap())
			}
		}
	}
	return own
}
