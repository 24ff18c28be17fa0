//go:build !linux

package setup

import (
	"fmt"
	"net"
	"net/netip"
)

// routed are the networks that this host has addresses in; those that its routes lead to further away
// are not known here.
func routed() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var all []netip.Prefix
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				bits, _ := n.Mask.Size()
				all = append(all, netip.PrefixFrom(ip.Unmap(), bits).Masked())
			}
		}
	}
	return all, nil
}
