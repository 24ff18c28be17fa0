//go:build !linux

package ping

import "net"

// sentAgain is not known here.
func sentAgain(*net.TCPConn) bool { return false }
