//go:build !linux

package droplist

import (
	"context"

	"github.com/wgnode/wgnode/probe/host"
)

// List would be what the kernel drops of one tunnel's packets.
type List struct{}

// New fails: this system's kernel does not tell.
func New(context.Context, Options) (*List, error) {
	return nil, host.NeedsLinux("a list of the packets that the kernel drops")
}

// Tunnel is the tunnel as it was looked at last.
func (l *List) Tunnel() *Tunnel { return &Tunnel{} }

// Lost is how many reports were lost.
func (l *List) Lost() uint64 { return 0 }

// Follow ends at once.
func (l *List) Follow(context.Context, Taker) error { return nil }

// Close ends the list.
func (l *List) Close() error { return nil }
