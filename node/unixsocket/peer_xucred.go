//go:build darwin || freebsd

package unixsocket

import (
	"net"

	"golang.org/x/sys/unix"
)

// solLocal is the level of options of Unix sockets.
const solLocal = 0

// Peer is who is at the other end of a connection.
func Peer(c *net.UnixConn) (p Process, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return p, err
	}
	cerr := raw.Control(func(fd uintptr) {
		var cred *unix.Xucred
		if cred, err = unix.GetsockoptXucred(int(fd), solLocal, unix.LOCAL_PEERCRED); err == nil {
			p.UID = cred.Uid
		}
	})
	if cerr != nil {
		return p, cerr
	}
	return p, err
}
