package node

import (
	"context"
	"fmt"
	"net"

	"github.com/wgnode/wgnode/node/internal/services"
)

// ErrNeedsStack is what services are refused with where the tunnel ends in a
// network interface: there the system routes, and others serve.
var ErrNeedsStack = services.ErrNeedsStack

// DialContext connects through the tunnel of a node without an interface, as
// net.Dialer's does. Unlike that of [Node.Net] it refuses at once what no peer is
// allowed.
func (n *Node) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if n.net == nil {
		return nil, fmt.Errorf("dial %s: %w", address, ErrNeedsStack)
	}
	return n.services.Inside().DialContext(ctx, network, address)
}
