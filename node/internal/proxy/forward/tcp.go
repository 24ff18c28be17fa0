package forward

import (
	"context"
	"net"

	"github.com/wgnode/wgnode/node/internal/proxy"
)

// TCP connects each connection that l accepts to target, HOST:PORT, through to.
// It closes l in the end, and returns nil when ctx has ended and all that it
// began.
func TCP(ctx context.Context, l net.Listener, target string, to proxy.Network, o proxy.Options) error {
	o = o.WithDefaults()
	return proxy.Serve(ctx, l, o.MaxConns, func(ctx context.Context, near net.Conn) {
		client := proxy.Client(near)
		dctx, cancel := context.WithTimeout(ctx, o.DialTime)
		far, err := to.DialContext(dctx, "tcp", target)
		cancel()
		if err != nil {
			proxy.Refuse(near)
			if ctx.Err() == nil {
				o.Logger.Info("forward", "client", client, "to", target, "error", err)
			}
			return
		}
		if err := proxy.Relay(ctx, near, far); err != nil {
			o.Logger.Debug("forward: connection broke", "client", client, "to", target, "error", err)
		}
	})
}
