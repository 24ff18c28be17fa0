package socket

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

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
