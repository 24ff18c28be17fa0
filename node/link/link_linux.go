package link

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ByName looks up an interface. The error wraps [ErrNotFound] if there is none.
func ByName(name string) (Link, error) {
	nl, err := netlink.LinkByName(name)
	if err != nil {
		return Link{}, fmt.Errorf("look up link %s: %w", name, translate(err))
	}
	return from(nl), nil
}

// SetUp sets the MTU in bytes and brings the interface up.
func SetUp(l Link, mtu int) error {
	if err := SetMTU(l, mtu); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(handle(l)); err != nil {
		return fmt.Errorf("set link %s up: %w", l.Name, translate(err))
	}
	return nil
}

// SetMTU sets the MTU in bytes.
func SetMTU(l Link, mtu int) error {
	if err := netlink.LinkSetMTU(handle(l), mtu); err != nil {
		return fmt.Errorf("set mtu %d of link %s: %w", mtu, l.Name, translate(err))
	}
	return nil
}

// Delete deletes the interface, and with it its addresses and routes. A
// process that serves it, as the one behind a TUN device does, loses it.
func Delete(l Link) error {
	if err := netlink.LinkDel(handle(l)); err != nil {
		return fmt.Errorf("delete link %s: %w", l.Name, translate(err))
	}
	return nil
}

func from(nl netlink.Link) Link {
	a := nl.Attrs()
	return Link{Name: a.Name, Index: a.Index, MTU: a.MTU, Up: a.Flags&net.FlagUp != 0}
}

// handle returns what the netlink library wants for an interface that is known
// by its index. The name stays out, lest the library look that up instead.
func handle(l Link) netlink.Link {
	return &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: l.Index}}
}

func translate(err error) error {
	if _, ok := errors.AsType[netlink.LinkNotFoundError](err); ok || errors.Is(err, unix.ENODEV) {
		return ErrNotFound
	}
	return err
}
