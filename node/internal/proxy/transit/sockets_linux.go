package transit

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// hearErrors has a socket of UDP say what ICMP errors say, also those that a program
// is else spared: that a host is unreachable. One of TCP says so while it connects,
// and is not to break later.
func hearErrors(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "udp") {
		return nil
	}
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = hear(int(fd), network == "udp6")
	})
	if err != nil {
		return err
	}
	return failed
}

func hear(fd int, six bool) error {
	level, option := unix.SOL_IP, unix.IP_RECVERR
	if six {
		level, option = unix.SOL_IPV6, unix.IPV6_RECVERR
	}
	if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
		return fmt.Errorf("hear of ICMP errors: %w", err)
	}
	return nil
}

// forgetErrors empties the queue of a socket's errors, which else takes the room of
// what it receives.
func forgetErrors(c net.Conn) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return // it is closed
	}
	_ = raw.Control(func(fd uintptr) {
		var data, control [512]byte
		for range 1000 { // more than it holds
			if _, _, _, _, err := unix.Recvmsg(int(fd), data[:], control[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT); err != nil {
				return
			}
		}
	})
}

// openEcho opens a socket for echo requests to a host: one for everybody, where
// net.ipv4.ping_group_range lets this process, else a raw one, which takes
// CAP_NET_RAW.
func openEcho(to netip.Addr) (*echoSocket, error) {
	family, proto := unix.AF_INET, unix.IPPROTO_ICMP
	if to.Is6() {
		family, proto = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	s := &echoSocket{six: to.Is6(), id: 1 + rand.IntN(1<<16-1)}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		var rawErr error
		if fd, rawErr = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto); rawErr != nil {
			return nil, fmt.Errorf("open socket for ICMP echo: %w (net.ipv4.ping_group_range does not hold this process's group)", err)
		}
		s.raw = true
	}
	file := os.NewFile(uintptr(fd), "echo")
	defer file.Close() // the connection has a copy
	if err := hear(fd, to.Is6()); err != nil {
		return nil, err
	}
	var sa unix.Sockaddr = &unix.SockaddrInet4{Addr: as4(to)}
	if to.Is6() {
		sa = &unix.SockaddrInet6{Addr: to.As16()}
	}
	if err := unix.Connect(fd, sa); err != nil {
		return nil, fmt.Errorf("connect socket for ICMP echo to %s: %w", to, err)
	}
	if s.Conn, err = net.FileConn(file); err != nil {
		return nil, fmt.Errorf("open socket for ICMP echo: %w", err)
	}
	return s, nil
}

func as4(a netip.Addr) [4]byte {
	if !a.Is4() {
		return [4]byte{}
	}
	return a.As4()
}
