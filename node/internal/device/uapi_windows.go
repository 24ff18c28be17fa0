package device

import (
	"fmt"
	"net"
	"os"

	"golang.zx2c4.com/wireguard/ipc"
)

// ListenUAPI opens the named pipe of WireGuard's own protocol, which administrators alone may do.
func ListenUAPI(name string, _ *os.File) (net.Listener, error) {
	l, err := ipc.UAPIListen(name)
	if err != nil {
		return nil, fmt.Errorf("listen on UAPI pipe of %s: %w", name, err)
	}
	return &closeOnce{Listener: l}, nil
}
