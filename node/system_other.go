//go:build !linux

package node

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe/host"
)

// bypassLink binds to no interface: routes are not this program's here.
func bypassLink(netip.Addr, uint32, string) (string, error) { return "", nil }

// canMark says that packets have no marks here.
func canMark(uint32) error { return host.NeedsLinux("a mark of packets") }
