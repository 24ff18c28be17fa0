//go:build unix

package socket

import (
	"errors"
	"fmt"
	"os"
	"syscall"

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
