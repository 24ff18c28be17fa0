//go:build unix && !linux

package unixsocket

import (
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// masked is held while the umask, which is the whole process's, makes sockets this user's alone.
var masked sync.Mutex

func open(path string) (net.Listener, error) {
	masked.Lock()
	defer masked.Unlock()
	defer unix.Umask(unix.Umask(0o177))
	return net.Listen("unix", path)
}
