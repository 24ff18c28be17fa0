//go:build linux

package explain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/internal/socket"
	"github.com/wgnode/wgnode/node/sender"
	"github.com/wgnode/wgnode/probe"
)

// As probes as a process of this host would, as far as rules know whose a packet is.
type As struct {
	Process *sender.Process
	// Command runs [sender.Pass].
	Command func() *exec.Cmd
	Host
}

// String says who that is.
func (a As) String() string { return a.Process.String() }

// socket makes a socket to a destination, and binds it to a port.
func (a As) socket(ctx context.Context, to netip.Addr, kind, proto int) (fd int, port uint16, err error) {
	family := unix.AF_INET6
	if to.Is4() {
		family = unix.AF_INET
	}
	if fd, err = a.Process.Socket(ctx, a.Command(), family, kind, proto); err != nil || kind == unix.SOCK_RAW {
		return fd, 0, err
	}
	if port, err = socket.BindAny(fd, to.Is4()); err != nil {
		_ = unix.Close(fd)
		return -1, 0, fmt.Errorf("choose a port: %w", err)
	}
	return fd, port, nil
}

// Connect implements [Prober].
func (a As) Connect(ctx context.Context, to netip.AddrPort, ready Ready) error {
	fd, port, err := a.socket(ctx, to.Addr(), unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	ready(port)
	// Begun before the runtime polls it: a socket that is not connected counts as writable.
	begun := unix.Connect(fd, sockaddr(to))
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	if err := dial(ctx, f, begun); err != nil {
		return fmt.Errorf("connect to %s: %w", to, err)
	}
	return nil
}

// dial waits for a connection that was begun, with what that has returned.
func dial(ctx context.Context, f *os.File, begun error) error {
	if begun == nil || !errors.Is(begun, unix.EINPROGRESS) {
		return os.NewSyscallError("connect", begun)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = f.Close() }) // wakes the writer
	defer stop()
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		var errno int
		if errno, failed = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); failed == nil && errno != 0 {
			failed = unix.Errno(errno)
		}
		if failed == nil {
			// It may have been woken for nothing.
			if _, err := unix.Getpeername(int(fd)); errors.Is(err, unix.ENOTCONN) {
				return false
			}
		}
		return true
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(err, os.NewSyscallError("connect", failed))
}

func sockaddr(to netip.AddrPort) unix.Sockaddr {
	if to.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
}

// Exchange implements [Exchanger].
func (a As) Exchange(ctx context.Context, to netip.AddrPort, payload []byte, ready Ready) error {
	fd, _, err := a.socket(ctx, to.Addr(), unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, sockaddr(to)); err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("connect to %s: %w", to, os.NewSyscallError("connect", err))
	}
	c, err := sender.Conn(fd)
	if err != nil {
		return fmt.Errorf("use the socket to %s: %w", to, err)
	}
	return exchange(ctx, c, payload, ready)
}

// Ping implements [Prober].
func (a As) Ping(ctx context.Context, to netip.Addr, ready Ready) error {
	proto := probe.ProtoICMP
	if to.Is6() {
		proto = probe.ProtoICMPv6
	}
	fd, _, err := a.socket(ctx, to, unix.SOCK_RAW, int(proto))
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "socket")
	c, err := net.FilePacketConn(f)
	_ = f.Close() // the connection has a copy
	if err != nil {
		return fmt.Errorf("use the socket to %s: %w", to, err)
	}
	defer c.Close()
	return Echo(ctx, c, to, a.data(), ready)
}
