//go:build unix && !linux

package device

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.zx2c4.com/wireguard/ipc"
)

// ListenUAPI opens the socket of WireGuard's own protocol, or takes over an open one.
func ListenUAPI(name string, socket *os.File) (net.Listener, error) {
	open := socket
	if socket == nil {
		f, err := ipc.UAPIOpen(name)
		if err != nil {
			return nil, fmt.Errorf("open UAPI socket of %s: %w", name, err)
		}
		open = f
	}
	l, err := ipc.UAPIListen(name, open)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on UAPI socket of %s: %w", name, err), open.Close())
	}
	if err := open.Close(); err != nil { // the listener has a descriptor of its own
		return nil, errors.Join(fmt.Errorf("listen on UAPI socket of %s: %w", name, err), l.Close())
	}
	return &closeOnce{Listener: l}, nil
}
