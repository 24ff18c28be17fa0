package device

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/ipc"

	"github.com/wgnode/wgnode/node/inherit"
	"github.com/wgnode/wgnode/tunnel"
)

// UAPI answers wg(8) and its like, from before Run on: hooks that run
// while the interface comes up may want to.
type UAPI struct {
	net.Listener
	ended chan error // gets one value, when it does not answer any more
}

// ServeUAPI answers at l from now on.
func ServeUAPI(t *tunnel.Tunnel, l net.Listener) *UAPI {
	s := &UAPI{l, make(chan error, 1)}
	go func() { s.ended <- t.ServeUAPI(l) }()
	return s
}

func (*UAPI) String() string { return "serve UAPI" }

// Run is the node's part in it. As with wireguard-go,
// removing the socket ends the node: wg-quick takes an interface down so.
func (s *UAPI) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		closeErr := s.Close()
		<-s.ended // it ends because of that
		return closeErr
	case err := <-s.ended:
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
}

// Close ends it. Where the socket's file went first, wireguard-go's listener has ended itself, and
// says of a part of it that it is closed already; the rest it closes nevertheless.
func (s *UAPI) Close() error {
	if err := s.Listener.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

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

// closeOnce is for a listener that must not be closed twice: wireguard-go's
// would close a descriptor that by then may be something else.
type closeOnce struct {
	net.Listener
	once sync.Once
	err  error
}

func (c *closeOnce) Close() error {
	c.once.Do(func() { c.err = c.Listener.Close() })
	return c.err
}
