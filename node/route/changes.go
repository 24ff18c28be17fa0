//go:build linux

package route

import (
	"context"
	"fmt"

	"github.com/vishvananda/netlink"
)

// Changes returns a channel that gets a value after routes have changed; changes
// that follow each other quickly may share one. It is closed when ctx ends, or
// when changes came faster than the kernel could tell of them: then ask anew,
// and look at once.
func Changes(ctx context.Context) (<-chan struct{}, error) {
	updates := make(chan netlink.RouteUpdate)
	if err := netlink.RouteSubscribe(updates, ctx.Done()); err != nil {
		return nil, fmt.Errorf("subscribe to route changes: %w", err)
	}
	changes := make(chan struct{}, 1)
	go func() {
		defer close(changes)
		for range updates { // closed after ctx, or on an error
			select {
			case changes <- struct{}{}:
			default: // one is waiting
			}
		}
	}()
	return changes, nil
}
