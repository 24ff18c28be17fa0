package telemetry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/flowtrace"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
)

// Scope is the instrumentation scope of all that is sent.
const Scope = "github.com/wgnode/wgnode"

// readSize is how many events are taken at a time.
const readSize = 256

// lateTime is how late an event may come.
const lateTime = 100 * time.Millisecond

// Tunnel is one whose flows are traced.
type Tunnel interface {
	Recorder() *probe.Recorder
	PublicKey() key.Public
	Peer(probe.PeerID) (k key.Public, name string, ok bool)
	PeerState(probe.PeerID) tunnel.PeerState
}

// Trace sends the spans of a tunnel's flows until ctx ends. What it reads it looks at where it was
// recorded, and no packet waits for it.
func (s *Sender) Trace(ctx context.Context, t Tunnel) error {
	ratio, err := Ratio(&s.config)
	if err != nil {
		return err
	}
	threshold := flowtrace.ThresholdOf(ratio)
	state, err := trace.ParseTraceState(threshold.State())
	if err != nil {
		return fmt.Errorf("trace flows: %w", err)
	}
	events := t.Recorder()
	tracer := flowtrace.New(flowtrace.Options{
		Self: t.PublicKey, Peer: t.Peer, Threshold: threshold, Anonymize: s.config.Anonymize,
		Receipt: func(seq uint64) (int64, bool) {
			e, ok := events.Find(probe.LaneUDPReceive, seq)
			return e.Time, ok
		},
		Ahead: func(id probe.PeerID) (int64, bool) {
			s := t.PeerState(id)
			return int64(s.ClockAt.Sub(s.Clock)), !s.Clock.IsZero()
		},
		Out: func(spans []flowtrace.Span) {
			for i := range spans {
				s.Send(s.snapshot(&spans[i], state))
			}
		},
	})
	sub := events.Subscribe(probe.SubscribeOptions{Plain: true, Match: tracer.Wanted})
	defer sub.Close()
	for _, lane := range []probe.Lane{probe.LaneTUNRead, probe.LaneTUNWrite} {
		events.Scan(lane, func(e *probe.Event) bool {
			tracer.Past(e)
			return true
		})
	}
	buf := make([]probe.Event, readSize)
	for ctx.Err() == nil {
		n, err := readUntil(ctx, sub, buf, tracer.Next())
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			break
		}
		tracer.Missed(sub.Lost())
		for i := range buf[:n] {
			tracer.Event(&buf[i])
		}
		if n == 0 {
			tracer.Tick(time.Now().Add(-lateTime).UnixNano())
		}
		s.flows.Store(&FlowCounts{Counts: tracer.Counts(), Missed: sub.Lost()})
	}
	return nil
}

// FlowCounts are what became of the flows that were looked at.
type FlowCounts struct {
	flowtrace.Counts
	Missed uint64 // events that were overwritten before they were read
}

// Flows says what became of the flows.
func (s *Sender) Flows() FlowCounts {
	if c := s.flows.Load(); c != nil {
		return *c
	}
	return FlowCounts{}
}

// readUntil reads events, no longer than until a time, if that is not 0.
func readUntil(ctx context.Context, sub *probe.Subscription, buf []probe.Event, until int64) (int, error) {
	if until != 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, time.Unix(0, until).Add(lateTime))
		defer stop()
	}
	return sub.Read(ctx, buf)
}

// snapshot is a span in the SDK's form.
func (s *Sender) snapshot(span *flowtrace.Span, state trace.TraceState) sdk.ReadOnlySpan {
	if !span.Sampled {
		state = trace.TraceState{} // that it is here has another cause
	}
	at := func(id flowtrace.SpanID, remote bool) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID(span.Trace), SpanID: trace.SpanID(id),
			TraceFlags: trace.FlagsSampled, TraceState: state, Remote: remote})
	}
	stub := tracetest.SpanStub{
		Name: span.Name, SpanContext: at(span.ID, false), SpanKind: kinds[span.Kind],
		StartTime: time.Unix(0, span.Start), EndTime: time.Unix(0, span.End),
		Resource: s.Resource, InstrumentationScope: instrumentation.Scope{Name: Scope, Version: s.version},
	}
	if span.Parent != (flowtrace.SpanID{}) {
		stub.Parent = at(span.Parent, span.Remote)
	}
	for _, a := range span.Attrs {
		if a.Text != "" {
			stub.Attributes = append(stub.Attributes, attribute.String(a.Key, a.Text))
		} else {
			stub.Attributes = append(stub.Attributes, attribute.Int64(a.Key, a.Number))
		}
	}
	for _, l := range span.Links {
		stub.Links = append(stub.Links, sdk.Link{
			SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID(l.Trace), SpanID: trace.SpanID(l.Span),
				TraceFlags: trace.FlagsSampled}),
			Attributes: []attribute.KeyValue{attribute.String("wgnode.link", l.Why)}})
	}
	if span.Error != "" {
		stub.Status = sdk.Status{Code: codes.Error, Description: span.Error}
	}
	return stub.Snapshot()
}

var kinds = map[flowtrace.Kind]trace.SpanKind{flowtrace.Internal: trace.SpanKindInternal, flowtrace.Client: trace.SpanKindClient,
	flowtrace.Server: trace.SpanKindServer}
