//go:build linux

package confine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/explain"
)

// Outlet is what a confined network has outside: the TUN device, and sockets
// that probe the network as the command would, until [Process.Close].
type Outlet struct {
	TUN   *os.File // whoever takes it closes it
	Notes []string // for people: what is not as the Network says

	sockets
}

var _ explain.Prober = (*Outlet)(nil)

// sockets are one of each kind, which were opened inside. They are used over and
// over, so that one who probes waits for the other.
type sockets struct {
	mu    sync.Mutex
	files map[string]*os.File
}

// close closes them once nobody uses them.
func (s *sockets) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	s.files = nil
	return errors.Join(errs...)
}

func (s *sockets) get(name4, name6 string, to netip.Addr) (*os.File, error) {
	name := name6
	if to.Is4() {
		name = name4
	}
	f := s.files[name]
	if f == nil {
		return nil, fmt.Errorf("no socket for %s in the network of the command", to)
	}
	return f, nil
}

// Connect implements [explain.Prober]. It ends the connection by a reset: so the
// socket is free for the next one.
func (s *sockets) Connect(ctx context.Context, to netip.AddrPort, ready explain.Ready) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	f, err := s.get(fileTCP4, fileTCP6, to.Addr())
	if err == nil {
		err = connect(ctx, f, to, ready)
	}
	if err != nil {
		return fmt.Errorf("connect to %s: %w", to, err)
	}
	return nil
}

func connect(ctx context.Context, f *os.File, to netip.AddrPort, ready explain.Ready) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if err := f.SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Unix(1, 0)) }) // it would only take longer
	defer stop()
	begun := false
	var result error
	err = raw.Write(func(fd uintptr) (done bool) {
		if !begun {
			begun = true
			result = unix.Connect(int(fd), sockaddr(to))
			ready(localPort(int(fd)))
			return result != unix.EINPROGRESS
		}
		errno, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			result = err
		case errno != 0:
			result = unix.Errno(errno)
		default:
			// It may have been woken up too early.
			_, result = unix.Getpeername(int(fd))
		}
		return result != unix.ENOTCONN
	})
	derr := raw.Control(func(fd uintptr) {
		unspec := unix.RawSockaddr{Family: unix.AF_UNSPEC} // connect(2): dissolves the association
		_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&unspec)), unsafe.Sizeof(unspec))
		if errno != 0 {
			result = errors.Join(result, fmt.Errorf("end connection: %w", errno))
		}
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	}
	return errors.Join(result, derr)
}

// localPort is the port of a socket, 0 if it has none.
func localPort(fd int) uint16 {
	a, err := unix.Getsockname(fd)
	if err != nil {
		return 0
	}
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return uint16(a.Port)
	case *unix.SockaddrInet6:
		return uint16(a.Port)
	}
	return 0
}

func sockaddr(to netip.AddrPort) unix.Sockaddr {
	if to.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
}

// Ping implements [explain.Prober].
func (s *sockets) Ping(ctx context.Context, to netip.Addr, ready explain.Ready) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	to = to.Unmap()
	f, err := s.get(fileICMP4, fileICMP6, to)
	if err != nil {
		return err
	}
	c, err := net.FilePacketConn(f)
	if err != nil {
		return fmt.Errorf("use socket for ICMP echo: %w", err)
	}
	defer c.Close() // a duplicate
	return explain.Echo(ctx, c, to, []byte("wgnode explain"), ready)
}
