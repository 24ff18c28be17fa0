//go:build !linux

package link

import (
	"fmt"
	"net"

	"github.com/wgnode/wgnode/probe/host"
)

// ByName looks up an interface. The error wraps [ErrNotFound] if there is none.
func ByName(name string) (Link, error) {
	all, err := net.Interfaces()
	if err != nil {
		return Link{}, fmt.Errorf("look up link %s: %w", name, err)
	}
	for _, i := range all {
		if i.Name == name {
			return Link{Name: name, Index: i.Index, MTU: i.MTU, Up: i.Flags&net.FlagUp != 0}, nil
		}
	}
	return Link{}, fmt.Errorf("look up link %s: %w", name, ErrNotFound)
}

// SetUp would set the MTU and bring the interface up.
func SetUp(l Link, mtu int) error { return SetMTU(l, mtu) }

// SetMTU would set the MTU.
func SetMTU(l Link, _ int) error { return host.NeedsLinux("a change of the interface " + l.Name) }

// Delete would delete the interface.
func Delete(l Link) error { return host.NeedsLinux("a change of the interface " + l.Name) }

// CheckRights reports, as a [*RightsError], that no interface is made here that has addresses and
// routes.
func CheckRights() error {
	return &RightsError{Network: host.NeedsLinux("an interface with addresses and routes")}
}
