//go:build linux

// Package socket is what the sockets of probes have in common: a port that is known before
// anything leaves, and packets that the kernel does not cut.
package socket

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/net/icmp"
	"golang.org/x/sys/unix"
)

// ChoosePort is for [net.Dialer.Control]: it gives a socket a port, leaves its address open, and
// returns the port.
func ChoosePort(c syscall.RawConn, is4 bool) (port uint16, err error) {
	var failed error
	err = c.Control(func(fd uintptr) { port, failed = BindAny(int(fd), is4) })
	if err := errors.Join(err, failed); err != nil {
		return 0, fmt.Errorf("choose a port: %w", err)
	}
	return port, nil
}

// BindAny gives a socket a port, and leaves its address open.
func BindAny(fd int, is4 bool) (port uint16, err error) {
	var any unix.Sockaddr = &unix.SockaddrInet6{}
	if is4 {
		any = &unix.SockaddrInet4{}
	}
	if err := unix.Bind(fd, any); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	switch a := bound.(type) {
	case *unix.SockaddrInet4:
		port = uint16(a.Port)
	case *unix.SockaddrInet6:
		port = uint16(a.Port)
	}
	return port, nil
}

// Raw is the socket of a connection for ICMP.
func Raw(c *icmp.PacketConn) syscall.Conn {
	if p := c.IPv4PacketConn(); p != nil {
		return p.PacketConn.(syscall.Conn)
	}
	return c.IPv6PacketConn().PacketConn.(syscall.Conn)
}

// DontFragment has packets leave whole, whatever the kernel believes of the way
// (IP_PMTUDISC_PROBE in ip(7)).
func DontFragment(c syscall.Conn, v6 bool) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) {
		if v6 {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
			return
		}
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	})
	return errors.Join(cerr, err)
}
