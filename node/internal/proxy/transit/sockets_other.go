//go:build !linux

package transit

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

func hearErrors(string, string, syscall.RawConn) error { return nil }

func forgetErrors(net.Conn) {}

func openEcho(netip.Addr) (*echoSocket, error) {
	return nil, errors.New("ICMP echo is forwarded on Linux only")
}
