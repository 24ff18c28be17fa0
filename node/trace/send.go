//go:build linux

package trace

import (
	"context"

	"github.com/wgnode/wgnode/node/explain"
)

// Lengths of inner packets in bytes. An echo request has one that is rare, so
// that its encrypted packet is recognized by its length alone.
const (
	echoData = 284
	echoLen4 = 20 + 8 + echoData
	echoLen6 = 40 + 8 + echoData
	synLen4  = 20 + 40
	synLen6  = 40 + 40
	rstLen4  = 20 + 20
	rstLen6  = 40 + 20
)

// send sends the packet that is followed.
func (x *run) send(ctx context.Context, ready explain.Ready) error {
	p := x.Prober
	if x.Kernel {
		p = explain.Host{EchoData: make([]byte, echoData)}
	}
	if x.to.Port() == 0 {
		return p.Ping(ctx, x.to.Addr(), ready)
	}
	return p.Connect(ctx, x.to, ready)
}
