// Package netstack is the far side of a tunnel for a node without privileges.
//
// A node that may not create a network interface still has a use for a tunnel:
// its own process can be the host. The packets then end in a TCP/IP stack that
// runs in userspace (gVisor's), and programs reach it through a [Net], which dials
// and listens in the shape of package net. The system's own routes, addresses and
// names have no part in it.
//
// The TUN device in between takes packets from the stack and gives it some in
// batches. For bulk data of TCP the stack deals in segments of up to 64 KiB, and
// the device cuts them to packets of the MTU, and joins those that come in: as a
// network card with offloads does for a kernel.
package netstack

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"

	"golang.zx2c4.com/wireguard/tun"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Net is a userspace network stack. Its methods are safe for concurrent use,
// and fail once the device that New returned with it has been closed.
type Net struct {
	dev   *device
	stack *stack.Stack
	addrs []netip.Addr
	names *atomic.Pointer[Resolver] // never nil, but what it points at may be
	check func(netip.Addr) error    // nil: all may be dialed
}

// New makes a stack that has these addresses, and the TUN device through which
// all that it sends comes out. mtu is in bytes. The caller closes the device,
// which ends the stack. A tunnel over it has to be told to come up. It resolves no
// names until SetResolver.
func New(addrs []netip.Addr, mtu int) (tun.Device, *Net, error) {
	dev, err := newDevice(addrs, mtu)
	if err != nil {
		return nil, nil, fmt.Errorf("create userspace network stack: %w", err)
	}
	return dev, &Net{dev: dev, stack: dev.own.stack, addrs: slices.Clone(addrs), names: new(atomic.Pointer[Resolver])}, nil
}

// SetResolver makes r resolve the names that are dialed from now on, through n
// and those that Checked made of it. Nobody may change r afterwards. Nil is for
// none.
func (n *Net) SetResolver(r *Resolver) { n.names.Store(r) }

// Checked returns the same stack for callers who may not dial every address:
// DialContext does not send anything to one that check returns an error for.
func (n *Net) Checked(check func(netip.Addr) error) *Net {
	limited := *n
	limited.check = check
	return &limited
}

// Forward has t take what peers send to addresses that are none of the stack's, in
// the place of whoever did before; nil is for nobody, and a t without functions but
// May lets nothing pass. It ends all that passes at that time. It may be called by
// one at a time.
func (n *Net) Forward(t *Transit) error {
	if err := n.dev.setOthers(t); err != nil {
		return fmt.Errorf("forward for others: %w", err)
	}
	return nil
}

// Listen listens for TCP connections as net.Listen does. network is tcp, tcp4
// or tcp6; the host may be left out to mean every address.
func (n *Net) Listen(network, address string) (net.Listener, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, fmt.Errorf("listen %s %s: %w", network, address, net.UnknownNetworkError(network))
	}
	ap, err := parse(address)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", address, err)
	}
	l, err := listenTCP(n.stack, network, ap)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// ListenPacket is Listen for UDP. Port 0 is for any that is free.
func (n *Net) ListenPacket(network, address string) (net.PacketConn, error) {
	switch network {
	case "udp", "udp4", "udp6":
	default:
		return nil, fmt.Errorf("listen %s %s: %w", network, address, net.UnknownNetworkError(network))
	}
	ap, err := parse(address)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", address, err)
	}
	c, err := listenUDP(n.stack, network, ap)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// parse reads host:port, of which the host may be empty. An unspecified address
// is the same as none.
func parse(address string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port %q is not 0 to 65535", port)
	}
	if host == "" {
		return netip.AddrPortFrom(netip.Addr{}, uint16(number)), nil
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if addr.IsUnspecified() {
		addr = netip.Addr{}
	}
	return netip.AddrPortFrom(addr, uint16(number)), nil
}
