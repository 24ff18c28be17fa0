package device

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/ipc"

	"github.com/wgnode/wgnode/node/inherit"
)

// uapiDir is where wg(8) looks for sockets.
const uapiDir = "/var/run/wireguard"

// ListenUAPI opens the socket of WireGuard's own protocol, or takes over an
// open one. If it fails it leaves no file that was not there before.
func ListenUAPI(name string, socket *os.File) (l net.Listener, err error) {
	path := filepath.Join(uapiDir, name+".sock")
	before := madeAt(path)
	defer func() {
		// The module leaves it, and with it the impression that somebody serves.
		if now := madeAt(path); err != nil && socket == nil && now != (made{}) && now != before {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	open := socket
	if socket == nil {
		f, err := ipc.UAPIOpen(name)
		// The module's error is that of its last attempt, which is another one.
		if aerr := unix.Access(uapiDir, unix.W_OK); err != nil && (errors.Is(aerr, unix.EACCES) || errors.Is(aerr, unix.EROFS)) {
			err = &fs.PathError{Op: "write to", Path: uapiDir, Err: aerr}
		}
		if err != nil {
			return nil, fmt.Errorf("open UAPI socket of %s: %w", name, err)
		}
		open = f
	}
	l, err = ipc.UAPIListen(name, open)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on UAPI socket of %s: %w", name, err), open.Close())
	}
	if err := open.Close(); err != nil { // the listener has a descriptor of its own
		return nil, errors.Join(fmt.Errorf("listen on UAPI socket of %s: %w", name, err), l.Close())
	}
	if err := inherit.OnlyStandard(); err != nil { // not what the listener watches its socket by
		return nil, errors.Join(err, l.Close())
	}
	return &closeOnce{Listener: l}, nil
}

// made tells a file from one that had its name before; zero is none.
type made struct{ dev, ino, sec, nsec uint64 }

func madeAt(path string) made {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return made{}
	}
	return made{uint64(st.Dev), st.Ino, uint64(st.Ctim.Sec), uint64(st.Ctim.Nsec)}
}
