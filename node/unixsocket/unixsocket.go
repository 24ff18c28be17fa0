// Package unixsocket has Unix sockets that are for one user alone: how one is opened, also where
// a process that has died has left its own, and who is at the other end of a connection.
package unixsocket

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/wgnode/wgnode/node/port"
)

// Listen opens a Unix socket for this user alone. The socket of a process
// that has died is replaced; a file of another kind is not.
func Listen(path string) (net.Listener, error) {
	l, err := open(path)
	if port.InUse(err) {
		if err := removeStale(path); err != nil {
			return nil, err
		}
		l, err = open(path)
	}
	return l, err
}

// Process is who is at an end of a connection.
type Process struct {
	PID int // 0: not known
	UID uint32
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s exists and is not a socket", path)
	case Served(path):
		return fmt.Errorf("%s: another process serves it", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove stale socket: %w", err)
	}
	return nil
}

// Served reports whether somebody accepts connections at a socket.
func Served(path string) bool {
	c, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// Close ends to listen. One that is closed already is no error.
func Close(l net.Listener) error {
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close socket %s: %w", l.Addr(), err)
	}
	return nil
}
