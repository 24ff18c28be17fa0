package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// Network is where a service reaches others. What they say to an attempt must
// be in its error for errors.Is: syscall.ECONNREFUSED and the like.
type Network interface {
	// DialContext is as net.Dialer's. The host may be a name.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	// ListenPacket opens a UDP socket; network is udp4 or udp6.
	ListenPacket(network, address string) (net.PacketConn, error)
	// LookupNetIP is as net.Resolver's.
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Host is the network of this host, by its own sockets.
type Host struct{}

// DialContext is net.Dialer's.
func (Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// ListenPacket is net's.
func (Host) ListenPacket(network, address string) (net.PacketConn, error) {
	return net.ListenPacket(network, address)
}

// LookupNetIP is that of net.DefaultResolver.
func (Host) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, network, host)
}

// Told reports whether an error of reading from a UDP socket is about a packet
// that was sent before, so that reading may go on.
func Told(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}
