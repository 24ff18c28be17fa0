//go:build !small

package node

import (
	"context"
	"errors"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/metrics"
	tell "github.com/wgnode/wgnode/node/telemetry"
	"github.com/wgnode/wgnode/node/telemetry/eventlog"
	"github.com/wgnode/wgnode/node/telemetry/scrape"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/timeline"
)

func init() { newOTLPSender = func() otlpSender { return &otlp{} } }

// otlp is the sender of a node.
type otlp struct {
	spans   atomic.Pointer[tell.Sender]
	metrics atomic.Pointer[scrape.Sender]

	mu    sync.Mutex
	log   *eventlog.Log                // guarded by mu; nil: nothing is told at present
	last  map[key.Public]timeline.Line // guarded by mu: the state of each peer
	began bool                         // guarded by mu: it was told that the node has started
}

func (*otlp) wanted(c *config.Telemetry) bool { return tell.Wanted(c) }

func (*otlp) check(c *config.Telemetry) error { return tell.Check(c) }

func (t *otlp) run(ctx context.Context, n *Node, c config.Telemetry) error {
	o := tell.Options{Config: c, Log: n.opt.Logger, Node: tell.Node{Interface: n.name,
		PublicKey: n.tun.PublicKey(), Version: programVersion(), Anonymize: c.Anonymize}}
	var errs []error
	var all sync.WaitGroup
	results := make(chan error, 3)
	for _, signal := range []struct {
		is    tell.Signal
		begin func(context.Context, *Node, tell.Options) (run func() error, err error)
	}{{tell.Traces, t.sendSpans}, {tell.Logs, t.sendLogs}, {tell.Metrics, t.sendMetrics}} {
		if !tell.Sends(&c, signal.is) {
			continue
		}
		// One that cannot be sent keeps no other from it.
		run, err := signal.begin(ctx, n, o)
		if err != nil {
			n.opt.Logger.Error("this telemetry is not sent", "interface", n.name, "signal", signal.is, "error", err)
			continue
		}
		all.Go(func() { results <- run() })
	}
	all.Wait()
	close(results)
	for err := range results {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (t *otlp) sendSpans(ctx context.Context, n *Node, o tell.Options) (func() error, error) {
	s, err := tell.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	t.spans.Store(s)
	return func() error {
		defer t.spans.Store(nil)
		return errors.Join(s.Trace(ctx, n.tun), s.Close())
	}, nil
}

func (t *otlp) sendMetrics(ctx context.Context, n *Node, o tell.Options) (func() error, error) {
	from, err := n.metrics.Gatherer()
	if err != nil {
		return nil, err
	}
	s, err := scrape.Open(ctx, o, from)
	if err != nil {
		return nil, err
	}
	t.metrics.Store(s)
	return func() error {
		defer t.metrics.Store(nil)
		<-ctx.Done()
		return s.Close()
	}, nil
}

func (t *otlp) sendLogs(ctx context.Context, n *Node, o tell.Options) (func() error, error) {
	l, err := eventlog.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	t.beginLog(l)
	return func() error {
		l.Watch(ctx, eventlog.Watched{
			Await: func(ctx context.Context, seen uint64) (uint64, error) {
				return n.tun.Recorder().Await(ctx, probe.LaneControl, seen)
			},
			Look: func() eventlog.Seen {
				return eventlog.Seen{At: time.Now(), Peers: append(n.tun.Peers(), n.tun.PeerState(0)), Restored: n.guard.Counts()}
			},
		})
		t.mu.Lock()
		t.log = nil
		t.mu.Unlock()
		if n.Config().Telemetry.Same(o.Config) { // else it goes on with another configuration
			l.State(&timeline.Line{At: time.Now(), What: timeline.Stopped}, nil)
		}
		return l.Close()
	}, nil
}

// beginLog has l told what happens, and what is so already.
func (t *otlp) beginLog(l *eventlog.Log) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.began {
		l.State(&timeline.Line{At: time.Now(), What: timeline.Started}, nil)
	}
	t.log, t.began = l, true
	for _, line := range slices.SortedFunc(maps.Values(t.last), func(a, b timeline.Line) int { return a.At.Compare(b.At) }) {
		l.State(&line, nil)
	}
}

func (t *otlp) state(line, before *timeline.Line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch line.What {
	case timeline.Changed:
		if t.last == nil {
			t.last = make(map[key.Public]timeline.Line)
		}
		t.last[line.Peer] = *line
	case timeline.Removed:
		delete(t.last, line.Peer)
	}
	if t.log != nil {
		t.log.State(line, before)
	}
}

func (t *otlp) reloaded(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.log != nil {
		t.log.Reloaded(time.Now(), err)
	}
}

func (t *otlp) counts() *metrics.TelemetryCounts {
	c := metrics.TelemetryCounts{Signals: make(map[string]metrics.TelemetrySignal)}
	if s := t.spans.Load(); s != nil {
		flows := s.Flows()
		c.Signals[string(tell.Traces)] = metrics.TelemetrySignal(s.Counts())
		c.Flows = map[string]uint64{"traced": flows.Traced, "unsampled": flows.Unsampled, "limited": flows.Limited,
			"forgotten": flows.Forgotten, "incomplete": flows.Incomplete}
		c.Missed = flows.Missed
	}
	if s := t.metrics.Load(); s != nil {
		c.Signals[string(tell.Metrics)] = metrics.TelemetrySignal(s.Counts())
	}
	t.mu.Lock()
	if t.log != nil {
		c.Signals[string(tell.Logs)] = metrics.TelemetrySignal(t.log.Counts())
	}
	t.mu.Unlock()
	if len(c.Signals) == 0 {
		return nil
	}
	return &c
}

// programVersion is that of the program that this node runs in, "" if it has none.
func programVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return ""
}
