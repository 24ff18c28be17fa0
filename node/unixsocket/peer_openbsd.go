package unixsocket

import (
	"errors"
	"net"
)

// Peer is not asked for on OpenBSD.
func Peer(*net.UnixConn) (Process, error) { return Process{}, errors.ErrUnsupported }
