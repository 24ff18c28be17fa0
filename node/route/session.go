//go:build linux

package route

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/link"
)

// Session adds routes over one socket that stays open, for thousands of them at a time.
// It works in the network namespace of the thread that began it, and belongs to one
// goroutine at a time.
type Session struct{ handle *netlink.Handle }

// Begin opens the socket. The session must be ended.
func Begin() (*Session, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return &Session{h}, nil
}

// End closes the socket.
func (s *Session) End() { s.handle.Close() }

// Add is as the function of that name.
func (s *Session) Add(l link.Link, p netip.Prefix, table int) error {
	return add(s.handle, l, p, table)
}
