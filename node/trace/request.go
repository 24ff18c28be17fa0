package trace

import (
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/node/explain"
)

// DefaultTimeout is how long a walk through a node's tunnel may take: two attempts at a handshake.
const DefaultTimeout = explain.DefaultTimeout

// Request is what to trace. It is also the body of the control socket's request.
type Request struct {
	// Target is where the packet goes; with port 0 it is an ICMP echo request,
	// else the first of a TCP connection.
	Target netip.AddrPort `json:"target"`
	// Timeout bounds the wait; that of [explain.Subject.DefaultTimeout] if 0.
	Timeout time.Duration `json:"timeout,omitempty"`
}
