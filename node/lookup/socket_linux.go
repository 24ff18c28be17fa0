package lookup

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// outside returns a net.Dialer's Control that gives sockets a mark and binds them to
// an interface, if it is not "", before they are connected: both decide about their
// route.
func outside(mark uint32, device string) func(network, address string, c syscall.RawConn) error {
	if mark == 0 && device == "" {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var merr, derr error
		err := c.Control(func(fd uintptr) {
			if mark != 0 {
				merr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(mark))
			}
			if device != "" {
				derr = unix.BindToDevice(int(fd), device)
			}
		})
		switch {
		case err != nil:
			return fmt.Errorf("prepare socket: %w", err)
		case merr != nil:
			return fmt.Errorf("set firewall mark %#x: %w", mark, merr)
		case derr != nil:
			return fmt.Errorf("bind to %s: %w", device, derr)
		}
		return nil
	}
}
