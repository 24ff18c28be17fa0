package telemetry

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync/atomic"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/credentials"

	"github.com/wgnode/wgnode/node/config"
)

// maxSpans is how many spans wait for a receiver: some 4 MB.
const maxSpans = 4096

// Options say what is sent, by whom, and where to.
type Options struct {
	Config config.Telemetry
	Node   Node
	Log    *slog.Logger
}

// Sender sends the spans of one node. Its methods are safe for concurrent use.
type Sender struct {
	Resource *resource.Resource
	config   config.Telemetry
	version  string
	tally    *Tally
	batches  trace.SpanProcessor
	flows    atomic.Pointer[FlowCounts]
}

// Open makes ready to send. Nothing is connected before there is something to send, so that a
// receiver that is down keeps nobody from coming up.
func Open(ctx context.Context, o Options) (*Sender, error) {
	to, err := To(&o.Config, Traces)
	if err != nil {
		return nil, err
	}
	r, err := o.Node.Resource(ctx)
	if err != nil {
		return nil, err
	}
	exporter, err := to.spanExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("open telemetry: %w", err)
	}
	s := &Sender{Resource: r, config: o.Config, version: o.Node.Version, tally: NewTally(maxSpans)}
	s.batches = trace.NewBatchSpanProcessor(&counted{SpanExporter: exporter, tally: s.tally, said: NewSaid(&o, Traces)},
		trace.WithMaxQueueSize(maxSpans))
	return s, nil
}

func (d *Destination) spanExporter(ctx context.Context) (trace.SpanExporter, error) {
	if d.GRPC {
		return otlptrace.New(ctx, otlptracegrpc.NewClient(OptionsTo(d, Setters[otlptracegrpc.Option]{
			Gzip: otlptracegrpc.WithCompressor("gzip"), URL: otlptracegrpc.WithEndpointURL, Headers: otlptracegrpc.WithHeaders,
			TLS: func(c *tls.Config) otlptracegrpc.Option {
				return otlptracegrpc.WithTLSCredentials(credentials.NewTLS(c))
			}})...))
	}
	return otlptrace.New(ctx, otlptracehttp.NewClient(OptionsTo(d, Setters[otlptracehttp.Option]{
		Gzip: otlptracehttp.WithCompression(otlptracehttp.GzipCompression), URL: otlptracehttp.WithEndpointURL,
		Headers: otlptracehttp.WithHeaders, TLS: otlptracehttp.WithTLSClientConfig})...))
}

// Send hands a span over. It never waits: a span that there is no room for is counted.
func (s *Sender) Send(span trace.ReadOnlySpan) {
	if s.tally.Enter() {
		s.batches.OnEnd(span)
	}
}

// Counts says what became of the spans.
func (s *Sender) Counts() Counts { return s.tally.Counts() }

// Flush sends what waits.
func (s *Sender) Flush(ctx context.Context) error {
	if err := s.batches.ForceFlush(ctx); err != nil {
		return fmt.Errorf("send telemetry: %w", err)
	}
	return nil
}

// Close sends what waits, within a bound, and ends.
func (s *Sender) Close() error {
	return Shutdown("telemetry", s.batches.Shutdown)
}

// counted is an exporter whose failures are counted and logged, and are nobody else's concern: the
// SDK would print them to standard error.
type counted struct {
	trace.SpanExporter
	tally *Tally
	said  *Said
}

func (c *counted) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	c.tally.Leave(len(spans), err)
	c.said.Say(err)
	return nil
}
