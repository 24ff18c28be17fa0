//go:build linux

package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// End is one end of a cable: an interface of a host.
type End struct {
	host  *Host
	name  string
	addrs []string
}

// End describes an interface for [Lab.Link], with its addresses written as
// "10.9.1.2/24" or "fd00::2/64".
func (h *Host) End(name string, addrs ...string) End {
	return End{host: h, name: name, addrs: addrs}
}

// lastIndex is the interface index last given by Link. A fresh host numbers its
// interfaces from 2, so the ends of a cable tend to have the same number. The
// kernel then takes a change of carrier to be no urgent matter and reports it
// up to a second late (linkwatch_urgent_event in net/core/link_watch.c).
var lastIndex atomic.Int32

func init() { lastIndex.Store(1000) }

// Link joins two hosts by a cable, a veth(4) pair, and gives the interfaces
// their addresses. When it returns the cable carries packets, and the kernel has
// nothing more to add.
func (l *Lab) Link(a, b End) {
	a.host.t.Helper()
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: a.name, Index: int(lastIndex.Add(1))},
		PeerName:      b.name,
		PeerNamespace: netlink.NsFd(b.host.spaces.net.Fd()),
	}
	a.host.do(fmt.Sprintf("add link %s to %s of %s", a.name, b.name, b.host.name), func() error {
		return netlink.LinkAdd(veth)
	})
	for _, e := range []End{a, b} {
		e.host.do("set up "+e.name, func() error {
			if err := addAddrs(e.name, e.addrs); err != nil {
				return err
			}
			return setUp(e.name)
		})
	}
	for _, e := range []End{a, b} {
		e.host.do("wait for carrier of "+e.name, func() error { return awaitUp(e.name) })
	}
	a.host.Settle()
	b.host.Settle()
}

// Route adds a route of the host: towards prefix ("10.0.0.0/8", or "default"
// for everything of the gateway's family) by way of via, which is a gateway's
// address or the name of an interface.
func (h *Host) Route(prefix, via string) {
	h.t.Helper()
	h.do(fmt.Sprintf("add route %s via %s", prefix, via), func() error { return addRoute(prefix, via) })
}

func addRoute(prefix, via string) error {
	gateway, err := netip.ParseAddr(via)
	route := netlink.Route{}
	if err == nil {
		route.Gw = gateway.AsSlice()
	} else {
		link, err := netlink.LinkByName(via)
		if err != nil {
			return fmt.Errorf("find interface %s: %w", via, err)
		}
		route.LinkIndex = link.Attrs().Index
		route.Scope = netlink.SCOPE_LINK
	}
	switch {
	case prefix != "default":
		if _, route.Dst, err = net.ParseCIDR(prefix); err != nil {
			return err
		}
	case gateway.Is4():
		route.Dst = &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	case gateway.Is6():
		route.Dst = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	default:
		return errors.New("a default route needs the address of a gateway")
	}
	return netlink.RouteAdd(&route)
}

// addAddrs gives an interface of the calling thread's network namespace its
// addresses.
func addAddrs(name string, addrs []string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", name, err)
	}
	for _, a := range addrs {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			return fmt.Errorf("address %s: %w", a, err)
		}
		if addr.IP.To4() == nil {
			// Else it could not be bound to until the kernel, which has a lot to
			// do, has come to see that there is no duplicate to look for.
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("add address %s to %s: %w", a, name, err)
		}
	}
	return nil
}

// setUp brings an interface of the calling thread's network namespace up.
func setUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

// awaitUp waits until an interface of the calling thread's network namespace
// is operational. Until then, for an instant after both ends were set up, the
// kernel throws away what is sent.
func awaitUp(name string) error {
	updates := make(chan netlink.LinkUpdate)
	done := make(chan struct{})
	var failed error
	err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{
		ListExisting:  true,
		ErrorCallback: func(err error) { failed = err },
	})
	if err != nil {
		return fmt.Errorf("subscribe to link changes: %w", err)
	}
	up := false
	for u := range updates { // closed after done, or on an error
		if !up && u.Attrs().Name == name && u.Attrs().OperState == netlink.OperUp {
			up = true
			close(done)
		}
	}
	if !up {
		return fmt.Errorf("watch link changes: %w", failed)
	}
	return nil
}
