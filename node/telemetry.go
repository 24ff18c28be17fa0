package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/metrics"
	"github.com/wgnode/wgnode/probe/timeline"
)

// otlpSender sends what the node sees by OTLP. Without one, the program was built without it (the tag
// "small"): telemetry_otlp.go is the one file that has it.
type otlpSender interface {
	// wanted reports whether something is to be sent, and check says why it cannot be.
	wanted(c *config.Telemetry) bool
	check(c *config.Telemetry) error
	// run sends until ctx ends.
	run(ctx context.Context, n *Node, c config.Telemetry) error
	// state and reloaded tell what happens, whether it is to be sent at present or not.
	state(line, before *timeline.Line)
	reloaded(err error)
	// counts are what became of it; nil: nothing is sent.
	counts() *metrics.TelemetryCounts
}

var newOTLPSender func() otlpSender // nil: none

// telemetry is a node's part in it.
type telemetry struct {
	sender  otlpSender
	changed chan struct{} // has one when the configuration has become another
}

func newTelemetry() *telemetry {
	t := &telemetry{changed: make(chan struct{}, 1)}
	if newOTLPSender != nil {
		t.sender = newOTLPSender()
	}
	return t
}

var errNoTelemetry = errors.New("this wgnode was built without OpenTelemetry, and [telemetry] needs it")

// checkTelemetry refuses, before anything changes, what could not be done.
func (n *Node) checkTelemetry(cfg *config.Config) error {
	t := n.telemetry.sender
	if t == nil {
		if cfg.Telemetry.Endpoint != "" {
			return fmt.Errorf("%s: %w", cfg.Path, errNoTelemetry)
		}
		return nil
	}
	if err := t.check(&cfg.Telemetry); err != nil {
		return fmt.Errorf("%s: %w", cfg.Path, err)
	}
	return nil
}

// retell has what is sent follow the configuration.
func (n *Node) retell() {
	select {
	case n.telemetry.changed <- struct{}{}:
	default:
	}
}

// telemetryTask sends what the node sees, wherever the configuration says, and follows it. It never
// ends the node.
type telemetryTask struct{ n *Node }

func (telemetryTask) String() string { return "send telemetry" }

func (t telemetryTask) Run(ctx context.Context) error {
	n := t.n
	for ctx.Err() == nil {
		c := n.Config().Telemetry
		round, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if n.telemetry.sender == nil || !n.telemetry.sender.wanted(&c) {
				return
			}
			if err := n.telemetry.sender.run(round, n, c); err != nil && round.Err() == nil {
				n.opt.Logger.Error("no telemetry is sent", "interface", n.name, "error", err)
			}
		}()
		t.untilOther(ctx, &c)
		stop()
		<-done
	}
	return nil
}

// untilOther waits until ctx ends, or the configuration says something else than c.
func (t telemetryTask) untilOther(ctx context.Context, c *config.Telemetry) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.n.telemetry.changed:
			if !t.n.Config().Telemetry.Same(*c) {
				return
			}
		}
	}
}

// tellReload tells of a reload, and why it changed nothing if err is not nil.
func (n *Node) tellReload(err error) {
	if n.telemetry.sender != nil {
		n.telemetry.sender.reloaded(err)
	}
}

// telemetryCounts are for /metrics.
func (n *Node) telemetryCounts() *metrics.TelemetryCounts {
	if n.telemetry.sender == nil {
		return nil
	}
	return n.telemetry.sender.counts()
}
