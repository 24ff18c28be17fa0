//go:build !small

package node

import (
	"context"
	"errors"
	"runtime/debug"
	"sync/atomic"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/metrics"
	tell "github.com/wgnode/wgnode/node/telemetry"
)

func init() { newOTLPSender = func() otlpSender { return &otlp{} } }

// otlp is the sender of a node.
type otlp struct{ sender atomic.Pointer[tell.Sender] }

func (*otlp) wanted(c *config.Telemetry) bool { return tell.Wanted(c) }

func (*otlp) check(c *config.Telemetry) error { return tell.Check(c) }

func (t *otlp) run(ctx context.Context, n *Node, c config.Telemetry) (err error) {
	s, err := tell.Open(ctx, tell.Options{Config: c, Log: n.opt.Logger, Node: tell.Node{Interface: n.name,
		PublicKey: n.tun.PublicKey(), Version: programVersion(), Anonymize: c.Anonymize}})
	if err != nil {
		return err
	}
	t.sender.Store(s)
	defer t.sender.Store(nil)
	return errors.Join(s.Trace(ctx, n.tun), s.Close())
}

func (t *otlp) counts() *metrics.TelemetryCounts {
	s := t.sender.Load()
	if s == nil {
		return nil
	}
	spans, flows := s.Counts(), s.Flows()
	return &metrics.TelemetryCounts{
		Signals: map[string]metrics.TelemetrySignal{string(tell.Traces): metrics.TelemetrySignal(spans)},
		Flows: map[string]uint64{"traced": flows.Traced, "unsampled": flows.Unsampled, "limited": flows.Limited,
			"forgotten": flows.Forgotten, "incomplete": flows.Incomplete},
		Missed: flows.Missed,
	}
}

// programVersion is that of the program that this node runs in, "" if it has none.
func programVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return ""
}
