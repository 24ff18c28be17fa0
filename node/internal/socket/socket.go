// Package socket is what the sockets of probes have in common: a port that is known before
// anything leaves, and packets that the kernel does not cut.
package socket

import (
	"syscall"

	"golang.org/x/net/icmp"
)

// Raw is the socket of a connection for ICMP.
func Raw(c *icmp.PacketConn) syscall.Conn {
	if p := c.IPv4PacketConn(); p != nil {
		return p.PacketConn.(syscall.Conn)
	}
	return c.IPv6PacketConn().PacketConn.(syscall.Conn)
}
