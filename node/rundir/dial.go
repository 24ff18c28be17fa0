package rundir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/node/unixsocket"
)

// ErrNotRunning: there is no node of that name, or it is not served.
var ErrNotRunning = errors.New("not running")

// Dial returns a client for the node of that name that has its socket in the folder dir. The error
// wraps [ErrNotRunning] if there is none, and fs.ErrPermission if it is not ours. It is a
// [StoppedError] if the node's process is stopped, and a [safefile.Untrusted] if others could have
// put the socket there.
func Dial(dir, name string) (*control.Client, error) {
	if err := Check(dir); err != nil {
		return nil, fmt.Errorf("node %s: %w", name, err)
	}
	dial := Dialer(name, Socket(dir, name))
	conn, err := dial(context.Background())
	if err != nil {
		return nil, err
	}
	_ = conn.Close() // nothing was sent
	return control.NewClient(name, dial), nil
}

// Dialer connects to the control socket of a node.
func Dialer(name, path string) control.Dial {
	return func(ctx context.Context) (*net.UnixConn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		if errors.Is(err, fs.ErrNotExist) || unixsocket.Refused(err) {
			return nil, fmt.Errorf("node %s: %w", name, ErrNotRunning)
		}
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", name, err)
		}
		socket := conn.(*net.UnixConn)
		if err := checkServer(name, socket); err != nil {
			_ = conn.Close() // nothing was sent
			return nil, err
		}
		return socket, nil
	}
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
	server, err := unixsocket.Peer(c)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil // the folder is this user's
	}
	if err != nil {
		return fmt.Errorf("node %s: find out who serves the socket: %w", name, err)
	}
	if !safefile.Self().Has(server.UID) {
		return fmt.Errorf("node %s: process %d of another user (uid %d) serves its socket", name, server.PID, server.UID)
	}
	if server.PID != 0 && plan.Stopped(server.PID) {
		return &StoppedError{name, server.PID}
	}
	return nil
}
