package node

import (
	"net"
	"net/netip"
)

// ownAddrs are the host's addresses, or those of the network stack inside this
// process; none where they cannot be listed.
func (n *Node) ownAddrs() (own []netip.Addr) {
	if n.net != nil || n.link != nil {
		for _, p := range n.Config().Interface.Addresses {
			own = append(own, p.Addr())
		}
		return own
	}
	return hostAddrs()
}

// hostAddrs are this host's.
func hostAddrs() (own []netip.Addr) {
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
