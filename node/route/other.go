//go:build !linux

package route

import (
	"net/netip"

	"github.com/wgnode/wgnode/node/link"
)

// InTheWay is the error that a route to be added would fail with: none is added here.
func InTheWay(link.Link, netip.Prefix, int) error { return nil }
