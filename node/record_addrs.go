package node

import (
	"net/netip"

	"github.com/wgnode/wgnode/node/internal/address"
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
	return address.OfHost()
}
