package lookup

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// marked returns a net.Dialer's Control that gives sockets a mark, before they
// are connected: it decides about their route.
func marked(mark uint32) func(network, address string, c syscall.RawConn) error {
	if mark == 0 {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var serr error
		err := c.Control(func(fd uintptr) {
			serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(mark))
		})
		if err = errors.Join(err, serr); err != nil {
			return fmt.Errorf("set firewall mark %#x: %w", mark, err)
		}
		return nil
	}
}
