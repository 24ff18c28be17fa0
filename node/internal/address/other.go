//go:build !linux

package address

import (
	"net"
	"net/netip"

	"github.com/wgnode/wgnode/node/link"
)

// Prefixes returns the addresses of a link.
func Prefixes(l link.Link) ([]netip.Prefix, error) {
	i, err := net.InterfaceByIndex(l.Index)
	if err != nil {
		return nil, err
	}
	addrs, err := i.Addrs()
	if err != nil {
		return nil, err
	}
	var all []netip.Prefix
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				bits, _ := n.Mask.Size()
				all = append(all, netip.PrefixFrom(ip.Unmap(), bits))
			}
		}
	}
	return all, nil
}
