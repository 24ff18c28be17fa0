package ping

import (
	"net"

	"golang.org/x/sys/unix"
)

// sentAgain reports whether the kernel has sent a segment of a connection more than once.
func sentAgain(c *net.TCPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	again := false
	_ = raw.Control(func(fd uintptr) { // fails only for a connection that was closed
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			again = info.Total_retrans > 0
		}
	})
	return again
}
