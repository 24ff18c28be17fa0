package web

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/port"
	"github.com/wgnode/wgnode/node/unixsocket"
)

// DefaultPort is where the page is served if nothing else is said and nobody else is there.
const DefaultPort = 7420

// ErrRemote: an address is wanted that other hosts can reach.
var ErrRemote = errors.New("other hosts can reach this address")

// Listen opens what the page is served at: "unix:/PATH", a socket for this user alone, or
// "ADDRESS:PORT", where port 0 is one that is free. "" is [DefaultPort] of loopback, or a free port
// if that is taken. An address that is not of loopback is refused with [ErrRemote] unless remote.
func Listen(at string, remote bool) (net.Listener, error) {
	if at == "" {
		l, err := listenTCP(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), DefaultPort))
		if errors.Is(err, syscall.EADDRINUSE) {
			return listenTCP(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0))
		}
		return l, err
	}
	if strings.HasPrefix(at, "unix:") {
		socket, err := config.ParseListen(at)
		if err != nil {
			return nil, fmt.Errorf("serve the page: %w", err)
		}
		l, err := unixsocket.Listen(socket.Address)
		if err != nil {
			return nil, fmt.Errorf("serve the page at %s: %w", at, err)
		}
		return l, nil
	}
	addr, err := netip.ParseAddrPort(at)
	switch {
	case err != nil:
		return nil, fmt.Errorf("serve the page at %q: want ADDRESS:PORT or unix:/PATH", at)
	case !addr.Addr().Unmap().IsLoopback() && !remote:
		return nil, fmt.Errorf("serve the page at %s: %w", at, ErrRemote)
	}
	return listenTCP(addr)
}

func listenTCP(at netip.AddrPort) (net.Listener, error) {
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		return nil, fmt.Errorf("serve the page at %s: %w", at, port.ExplainListen(err, "tcp", at.String()))
	}
	return l, nil
}
