package device

import (
	"context"
	"errors"

	"github.com/wgnode/wgnode/tunnel"
)

// ErrGone ends the tasks of a node whose interface somebody else has deleted.
var ErrGone = errors.New("the interface is gone")

// Watch ends the node when the device has closed.
type Watch struct{ Tunnel *tunnel.Tunnel }

func (Watch) String() string { return "watch the interface" }

func (d Watch) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-d.Tunnel.Wait():
		return ErrGone
	}
}
