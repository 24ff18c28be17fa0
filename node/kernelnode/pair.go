//go:build linux

package kernelnode

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/rundir"
)

// pairListener is a listener that only this process can connect to. Its connections are those of
// a socket nevertheless, either half of which can be shut down.
type pairListener struct {
	name   string
	to     chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPairListener(name string) *pairListener {
	return &pairListener{name: name, to: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements [net.Listener].
func (l *pairListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.to:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *pairListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements [net.Listener].
func (l *pairListener) Addr() net.Addr { return &net.UnixAddr{Net: "unix", Name: l.name} }

// dial is a control.Dial.
func (l *pairListener) dial(ctx context.Context) (*net.UnixConn, error) {
	near, far, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", l.name, err)
	}
	select {
	case l.to <- far:
		return near, nil
	case <-l.closed:
		err = fmt.Errorf("%s: %w", l.name, rundir.ErrNotRunning)
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(err, near.Close(), far.Close())
}

// socketPair are two ends of a connection.
func socketPair() (near, far *net.UnixConn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if near, err = connOf(fds[0]); err != nil {
		return nil, nil, errors.Join(err, unix.Close(fds[1]))
	}
	if far, err = connOf(fds[1]); err != nil {
		return nil, nil, errors.Join(err, near.Close())
	}
	return near, far, nil
}

// connOf is the connection of a descriptor, which it takes.
func connOf(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "socketpair")
	c, err := net.FileConn(f)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = errors.Join(cerr, c.Close())
	}
	if err != nil {
		return nil, err
	}
	return c.(*net.UnixConn), nil
}
