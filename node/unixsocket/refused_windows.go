package unixsocket

import (
	"errors"

	"golang.org/x/sys/windows"
)

// Refused reports whether an error says that nobody listens at a socket.
func Refused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }
