package netstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// nextAddress is how long one address of a name gets before another is tried
// beside it (RFC 8305, Connection Attempt Delay).
const nextAddress = 250 * time.Millisecond

// DialContext connects as net.Dialer.DialContext does, through the tunnel.
// network is tcp or udp, or either with 4 or 6 at its end. A name is looked up
// as with LookupNetIP, and its addresses are tried until one answers. What the
// far side says to the attempt is in the error: ECONNREFUSED, EHOSTUNREACH,
// ENETUNREACH, ETIMEDOUT, for errors.Is.
func (n *Net) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if !slices.Contains([]string{"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"}, network) {
		return nil, fmt.Errorf("dial %s %s: %w", network, address, net.UnknownNetworkError(network))
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("dial %s: port %q is not 0 to 65535", address, port)
	}
	addrs, err := n.LookupNetIP(ctx, "ip"+network[3:], host)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return !n.speaks(a) })
	if len(addrs) == 0 {
		return nil, fmt.Errorf("dial %s: this node has no address of its family: %w", address, syscall.ENETUNREACH)
	}
	c, err := n.dialFirst(ctx, network[:3], addrs, uint16(number))
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return c, nil
}

// Connect opens a TCP connection to an address as DialContext does. It calls begun with the
// port that the connection comes from as soon as the stack has chosen one.
func (n *Net) Connect(ctx context.Context, to netip.AddrPort, begun func(port uint16)) (net.Conn, error) {
	if n.check != nil {
		if err := n.check(to.Addr()); err != nil {
			return nil, err
		}
	}
	c, err := dialTCP(ctx, n.stack, to, begun)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// LookupNetIP returns the addresses of host as net.Resolver.LookupNetIP does;
// network is ip, ip4 or ip6. It asks the resolver of SetResolver alone.
func (n *Net) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	r := n.names.Load()
	if r == nil {
		r = &Resolver{}
	}
	return r.LookupNetIP(ctx, network, host)
}

// speaks reports whether the stack has an address of a's family.
func (n *Net) speaks(a netip.Addr) bool {
	return slices.ContainsFunc(n.addrs, func(own netip.Addr) bool { return own.Is4() == a.Is4() })
}

// dialFirst returns the first connection that comes about. An attempt begins
// when the one before has failed or has taken a while.
func (n *Net) dialFirst(ctx context.Context, network string, to []netip.Addr, port uint16) (net.Conn, error) {
	if len(to) == 1 {
		return n.dial(ctx, network, netip.AddrPortFrom(to[0], port))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type attempt struct {
		c   net.Conn
		err error
	}
	done := make(chan attempt, len(to)) // those that lose must not wait either
	running := 0
	next := func() {
		a := netip.AddrPortFrom(to[0], port)
		to = to[1:]
		running++
		go func() {
			c, err := n.dial(ctx, network, a)
			done <- attempt{c, err}
		}()
	}
	var errs []error
	next()
	for running > 0 {
		var late <-chan time.Time
		if len(to) > 0 {
			late = time.After(nextAddress)
		}
		select {
		case <-late:
			next()
		case a := <-done:
			running--
			if a.err == nil {
				go func() {
					for range running {
						if a := <-done; a.err == nil {
							_ = a.c.Close() // nothing was sent
						}
					}
				}()
				return a.c, nil
			}
			errs = append(errs, a.err)
			if len(to) > 0 && ctx.Err() == nil {
				next()
			}
		}
	}
	return nil, errors.Join(errs...)
}

func (n *Net) dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	if n.check != nil {
		if err := n.check(to.Addr()); err != nil {
			return nil, err
		}
	}
	// A nil pointer in an interface would not be nil.
	if network == "udp" {
		c, err := dialUDP(n.stack, to)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	c, err := dialTCP(ctx, n.stack, to, func(uint16) {})
	if err != nil {
		return nil, err
	}
	return c, nil
}
