package node

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe/host/routing"
)

func bypassLink(a netip.Addr, mark uint32, own string) (string, error) {
	return routing.BypassLink(a, mark, own)
}
