package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"

	"github.com/wgnode/wgnode/node/control"
)

// ErrNotRunning: there is no node of that name, or it is not served.
var ErrNotRunning = errors.New("not running")

// noContext is for what does not wait.
var noContext = context.Background()

// Dial returns a client for the node of that name in [RunDir]. The error wraps
// [ErrNotRunning] if there is none, and fs.ErrPermission if it is not ours. It is a
// [StoppedError] if the node's process is stopped, and a [safefile.Untrusted] if others could have put the socket there.
func Dial(name string) (*control.Client, error) { return DialIn(RunDir(), name) }

// DialIn is Dial for another folder, see [Options.RunDir].
func DialIn(dir, name string) (*control.Client, error) {
	if err := checkDir(dir); err != nil {
		return nil, fmt.Errorf("node %s: %w", name, err)
	}
	dial := dialer(name, socketPath(dir, name))
	conn, err := dial(noContext)
	if err != nil {
		return nil, err
	}
	_ = conn.Close() // nothing was sent
	return control.NewClient(name, dial), nil
}

// dialer connects to the control socket of a node.
func dialer(name, path string) control.Dial {
	return func(ctx context.Context) (*net.UnixConn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
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
