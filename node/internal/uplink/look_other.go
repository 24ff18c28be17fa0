//go:build !linux

package uplink

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// usual are addresses that only a default route leads to. Nothing is sent there.
var usual = [...]netip.Addr{netip.MustParseAddr("1.0.0.1"), netip.MustParseAddr("2000::1")}

// Look takes a picture. The ways are those to endpoints. Of a way the source and its link are
// known, which this system is asked for by sockets that send nothing; gateways are not.
func Look(endpoints []netip.Addr, _ uint32) (State, error) {
	s, err := look()
	if err != nil {
		return State{}, err
	}
	s.Default4, s.Default6 = way(usual[0]), way(usual[1])
	for _, e := range endpoints {
		s.Ways[e] = way(e)
	}
	return s, nil
}

// way is how packets to an address leave, none if they do not.
func way(to netip.Addr) Way {
	const discard = 9 // RFC 863
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, discard)))
	if err != nil {
		return Way{}
	}
	own := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	_ = c.Close() // nothing was sent
	links, err := net.Interfaces()
	if err != nil {
		return Way{Source: own}
	}
	for _, l := range links {
		addrs, err := l.Addrs()
		if err != nil {
			continue // it has gone
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.Equal(own.AsSlice()) {
				return Way{Link: l.Name, Source: own, MTU: l.MTU}
			}
		}
	}
	return Way{Source: own}
}

// Reachable reports whether the system has a way to an address.
func Reachable(a netip.Addr, _ uint32) bool { return way(a) != Way{} }

// Resumes waits until ctx ends: this system is not asked when it has been asleep. That the network has
// changed meanwhile is noticed all the same.
func Resumes(ctx context.Context, _ func(asleep time.Duration)) error {
	<-ctx.Done()
	return nil
}
