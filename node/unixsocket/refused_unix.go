//go:build unix

package unixsocket

import (
	"errors"
	"syscall"
)

// Refused reports whether an error says that nobody listens at a socket.
func Refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
