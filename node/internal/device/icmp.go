package device

import (
	"fmt"
	"net"
	"net/netip"
)

// SendICMP sends a message of ICMP to an address, from the one of this host's that routing
// chooses. A socket for each keeps none open that would be told of all ICMP that arrives:
// few are sent, see the limits of package tunnel.
func SendICMP(to netip.Addr, message []byte) error {
	network := "ip4:icmp"
	if to.Is6() {
		network = "ip6:ipv6-icmp" // the kernel sets the checksum
	}
	c, err := net.DialIP(network, nil, &net.IPAddr{IP: to.AsSlice(), Zone: to.Zone()})
	if err != nil {
		return fmt.Errorf("send ICMP: %w", err)
	}
	defer c.Close()
	if _, err := c.Write(message); err != nil {
		return fmt.Errorf("send ICMP: %w", err)
	}
	return nil
}
