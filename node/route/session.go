//go:build linux

package route

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/link"
)

// Session does what the functions of this package do over one socket that stays
// open, for thousands of routes at a time. It works in the network namespace of
// the thread that began it, and belongs to one goroutine at a time. What it
// learns of interfaces on the way it takes to stay so until it ends.
type Session struct {
	handle netlink.Handle // the zero one opens a socket for each request
	links  map[int]link.Link
}

// Begin opens the socket. The session must be ended.
func Begin() (*Session, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return &Session{*h, make(map[int]link.Link)}, nil
}

// End closes the socket.
func (s *Session) End() { s.handle.Close() }

// Add is as the function of that name.
func (s *Session) Add(l link.Link, p netip.Prefix, table int) error {
	return add(&s.handle, l, p, table)
}

// Lookup is as the function of that name.
func (s *Session) Lookup(dst netip.Addr, mark uint32) (Result, error) { return lookup(s, dst, mark) }

func (s *Session) link(index int) (link.Link, error) {
	if l, ok := s.links[index]; ok {
		return l, nil
	}
	l, err := link.ByIndex(index)
	if err == nil && s.links != nil {
		s.links[index] = l
	}
	return l, err
}
