package socket

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// ChoosePort is for [net.Dialer.Control]: it gives a socket a port, leaves its address open, and
// returns the port.
func ChoosePort(c syscall.RawConn, is4 bool) (port uint16, err error) {
	var failed error
	err = c.Control(func(fd uintptr) { port, failed = bindAny(windows.Handle(fd), is4) })
	if err := errors.Join(err, failed); err != nil {
		return 0, fmt.Errorf("choose a port: %w", err)
	}
	return port, nil
}

func bindAny(s windows.Handle, is4 bool) (port uint16, err error) {
	var any windows.Sockaddr = &windows.SockaddrInet6{}
	if is4 {
		any = &windows.SockaddrInet4{}
	}
	// A dialer may have bound it already.
	if err := windows.Bind(s, any); err != nil && !errors.Is(err, windows.WSAEINVAL) {
		return 0, os.NewSyscallError("bind", err)
	}
	bound, err := windows.Getsockname(s)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	switch a := bound.(type) {
	case *windows.SockaddrInet4:
		port = uint16(a.Port)
	case *windows.SockaddrInet6:
		port = uint16(a.Port)
	}
	return port, nil
}
