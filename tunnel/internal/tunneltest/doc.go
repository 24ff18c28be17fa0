// Package tunneltest has what tests of a tunnel need of a world around it: a TUN device
// in memory, a relay between two tunnels that sees and injects messages, inner packets,
// and how to wait for an event.
package tunneltest
