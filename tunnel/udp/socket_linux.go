package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// defaultSocketBuffer is what wireguard-go uses, in bytes.
const defaultSocketBuffer = 7 << 20

// socket is the UDP socket of one address family.
type socket struct {
	conn   *net.UDPConn
	raw    syscall.RawConn
	v6     bool
	onICMP func(ICMPError)

	join    bool // UDP_GRO is on: the kernel joins what it receives
	segment bool // the kernel has UDP_SEGMENT
	refused refusals

	// sendmmsg is that of the kernel, but in tests of what it may refuse.
	sendmmsg func(fd uintptr, msgs []message) (int, syscall.Errno)
}

// openSocket opens a socket of one family. Port 0 means any.
func openSocket(o Options, v6 bool, port uint16) (*socket, error) {
	s := &socket{v6: v6, onICMP: o.OnICMP, sendmmsg: sendmmsg}
	network := "udp4"
	if v6 {
		network = "udp6"
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		ctrlErr := c.Control(func(fd uintptr) { err = s.configure(int(fd), o) })
		return errors.Join(ctrlErr, err)
	}}
	pc, err := lc.ListenPacket(context.Background(), network, ":"+strconv.Itoa(int(port)))
	if err != nil {
		return nil, fmt.Errorf("open %s socket on port %d: %w", network, port, err)
	}
	s.conn = pc.(*net.UDPConn)
	if s.raw, err = s.conn.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s socket: %w", network, err), s.conn.Close())
	}
	return s, nil
}

func (s *socket) port() uint16 { return uint16(s.conn.LocalAddr().(*net.UDPAddr).Port) }

// configure sets the socket's options, before it is bound.
func (s *socket) configure(fd int, o Options) error {
	size := o.SocketBuffer
	if size <= 0 {
		size = defaultSocketBuffer
	}
	// The first two are cut down to net.core.{r,w}mem_max, the others need
	// CAP_NET_ADMIN. A smaller buffer is slower under load, no more.
	for _, opt := range []int{unix.SO_RCVBUF, unix.SO_SNDBUF, unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, size)
	}

	level, pktinfo, recverr := unix.IPPROTO_IP, unix.IP_PKTINFO, unix.IP_RECVERR
	if s.v6 {
		level, pktinfo, recverr = unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, unix.IPV6_RECVERR
		if err := unix.SetsockoptInt(fd, level, unix.IPV6_V6ONLY, 1); err != nil {
			return fmt.Errorf("set IPV6_V6ONLY: %w", err)
		}
	}
	if err := unix.SetsockoptInt(fd, level, pktinfo, 1); err != nil {
		return fmt.Errorf("ask for packet destinations: %w", err)
	}
	if err := unix.SetsockoptInt(fd, level, recverr, 1); err != nil {
		return fmt.Errorf("ask for the error queue: %w", err)
	}
	if !o.DisableOffload {
		s.join = enableJoin(fd)
		_, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		s.segment = err == nil
	}
	return nil
}

// enableJoin turns on UDP_GRO, if the kernel's works well. Before Linux 5.12
// it could not be read back, and had faults: then it is left off.
func enableJoin(fd int) bool {
	if unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) != nil {
		return false
	}
	if on, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO); err == nil && on == 1 {
		return true
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 0)
	return false
}

func (s *socket) setMark(mark uint32) error {
	var err error
	ctrlErr := s.raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(mark))
	})
	return errors.Join(ctrlErr, err)
}
