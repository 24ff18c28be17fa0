//go:build !linux

package trace

import (
	"context"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe/host"
	"github.com/wgnode/wgnode/probe/walk"
)

// Run would send a packet and follow it through the host.
func Run(context.Context, explain.Subject, Request) (*walk.Walk, error) {
	return nil, host.NeedsLinux("a walk of a packet through the host")
}
