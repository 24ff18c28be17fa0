package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/safefile"
)

// ListenUnix opens a Unix socket for this user alone. The socket of a process
// that has died is replaced; a file of another kind is not.
func ListenUnix(path string) (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		// The file that bind makes has the mode of the socket.
		var err error
		if cerr := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); cerr != nil {
			return cerr
		}
		return err
	}}
	open := func() (net.Listener, error) { return lc.Listen(noContext, "unix", path) }
	l, err := open()
	if errors.Is(err, unix.EADDRINUSE) {
		if err := removeStale(path); err != nil {
			return nil, err
		}
		l, err = open()
	}
	return l, err
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s exists and is not a socket", path)
	case served(path):
		return fmt.Errorf("%s: another process serves it", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove stale socket: %w", err)
	}
	return nil
}

// StoppedError is that a node answers nobody, because its process is stopped: by
// SIGSTOP, Ctrl-Z or a debugger.
type StoppedError struct {
	Name string
	PID  int
}

func (e *StoppedError) Error() string {
	return fmt.Sprintf("node %s: its process %d is stopped and answers nothing", e.Name, e.PID)
}

// checkServer makes sure that who listens at the socket of a node is root or this
// user, and that the process is not stopped: it would be waited for without end.
func checkServer(name string, c *net.UnixConn) error {
	server, err := peerOf(c)
	if err != nil {
		return fmt.Errorf("node %s: find out who serves the socket: %w", name, err)
	}
	if !safefile.Self().Has(server.Uid) {
		return fmt.Errorf("node %s: process %d of another user (uid %d) serves its socket", name, server.Pid, server.Uid)
	}
	if pid := int(server.Pid); plan.Stopped(pid) {
		return &StoppedError{name, pid}
	}
	return nil
}

// peerOf is who is at the other end of a connection.
func peerOf(c *net.UnixConn) (peer *unix.Ucred, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	if cerr := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); cerr != nil {
		return nil, cerr
	}
	return peer, err
}

// served reports whether somebody accepts connections at a socket.
func served(path string) bool {
	c, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
