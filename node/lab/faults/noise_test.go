//go:build linux

package faults

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

var faultNoise = flag.Bool("faults.noise", false, "ask in the midst of 200 other flows")

// noise are other flows through A's tunnel while a question is asked: 200 connections and
// datagrams a second from the same source, a fifth each to the same service, to ports of the
// same host that are closed, to a neighbor of it that is not there, and to H. It returns what
// ends them.
func (s *site) noise(service netip.AddrPort) (stop func()) {
	host, hub := service.Addr(), netip.MustParseAddr(s.Inner(2))
	dead := host.Next()
	for slices.Contains([]netip.Addr{s.Addr.HLan.V4.Addr(), s.Addr.HLan.V6.Addr()}, dead) {
		dead = dead.Next()
	}
	done, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		const perTick, life = 4, 10 // of each kind, ten times a second; ticks that each is held open
		var held [][]int
		closing := func(fds []int) {
			for _, fd := range fds {
				_ = unix.Close(fd)
			}
		}
		defer func() {
			for _, fds := range held {
				closing(fds)
			}
		}()
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			var fds []int
			err := s.A.Do(func() error {
				for range perTick {
					for _, to := range []struct {
						kind int
						at   netip.AddrPort
					}{
						{unix.SOCK_STREAM, service}, {unix.SOCK_STREAM, netip.AddrPortFrom(host, 8099)},
						{unix.SOCK_DGRAM, netip.AddrPortFrom(host, 9099)}, {unix.SOCK_STREAM, netip.AddrPortFrom(dead, service.Port())},
						{unix.SOCK_DGRAM, netip.AddrPortFrom(hub, 9099)},
					} {
						fd, err := begin(to.kind, to.at)
						if err != nil {
							return fmt.Errorf("open a socket to %s: %w", to.at, err)
						}
						fds = append(fds, fd)
					}
				}
				return nil
			})
			held = append(held, fds)
			if len(held) > life {
				closing(held[0])
				held = held[1:]
			}
			if err != nil {
				ended <- err
				return
			}
			select {
			case <-done:
				tick.Stop()
				ended <- nil
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		close(done)
		if err := <-ended; err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, net.ErrClosed) {
			s.T.Errorf("noise: %v", err)
		}
	}
}

// begin begins a connection, or sends a datagram. That the site cannot carry it is no error.
func begin(kind int, to netip.AddrPort) (fd int, err error) {
	family, at := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, at = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err = unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if unix.Connect(fd, at) == nil && kind == unix.SOCK_DGRAM {
		_, _ = unix.Write(fd, []byte("noise"))
	}
	return fd, nil
}
