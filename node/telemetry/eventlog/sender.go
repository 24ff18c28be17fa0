// Package eventlog sends what becomes of a tunnel as log records by OTLP, for those who have many:
// the states of peers with their verdicts, endpoints that moved, packets that were dropped,
// handshakes that were refused, a firewall that was restored, reloads.
//
//	history.Book ── timeline.Lines ──┐
//	states of peers ── differences ──┴─> Log ── queue of a bounded size ── batches ──> receiver
//
// Each record has a name of its own (the event name of OpenTelemetry), and attributes in place of
// text that would have to be parsed: those of the semantic conventions where there are any
// (network.peer.address, error.type), and else wgnode's. Strangers can make no more of them
// than a few every ten seconds: what is counted is told as a number of each reason.
package eventlog

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/log"
	sdk "go.opentelemetry.io/otel/sdk/log"
	"google.golang.org/grpc/credentials"

	"github.com/wgnode/wgnode/node/telemetry"
)

const (
	// maxRecords is how many wait for a receiver: some 2 MB.
	maxRecords = 2048
	// interval is how long a record waits for others that go with it.
	interval = time.Second
)

// scope is what sends, as OpenTelemetry has it.
const scope = "github.com/wgnode/wgnode"

// Log sends the log records of one node. Its methods are safe for concurrent use.
type Log struct {
	node     telemetry.Node
	tally    *telemetry.Tally
	provider *sdk.LoggerProvider
	logger   log.Logger
}

// Open makes ready to send. Nothing is connected before there is something to send.
func Open(ctx context.Context, o telemetry.Options) (*Log, error) {
	to, err := telemetry.To(&o.Config, telemetry.Logs)
	if err != nil {
		return nil, err
	}
	r, err := o.Node.Resource(ctx)
	if err != nil {
		return nil, err
	}
	exporter, err := open(ctx, &to)
	if err != nil {
		return nil, fmt.Errorf("open telemetry: %w", err)
	}
	l := &Log{node: o.Node, tally: telemetry.NewTally(maxRecords)}
	l.provider = sdk.NewLoggerProvider(sdk.WithResource(r), sdk.WithProcessor(sdk.NewBatchProcessor(
		&counted{exporter, l.tally, telemetry.NewSaid(&o, telemetry.Logs)},
		sdk.WithMaxQueueSize(maxRecords), sdk.WithExportInterval(interval))))
	l.logger = l.provider.Logger(scope)
	return l, nil
}

func open(ctx context.Context, to *telemetry.Destination) (sdk.Exporter, error) {
	if to.GRPC {
		return otlploggrpc.New(ctx, telemetry.OptionsTo(to, telemetry.Setters[otlploggrpc.Option]{
			Gzip: otlploggrpc.WithCompressor("gzip"), URL: otlploggrpc.WithEndpointURL, Headers: otlploggrpc.WithHeaders,
			TLS: func(c *tls.Config) otlploggrpc.Option { return otlploggrpc.WithTLSCredentials(credentials.NewTLS(c)) }})...)
	}
	return otlploghttp.New(ctx, telemetry.OptionsTo(to, telemetry.Setters[otlploghttp.Option]{
		Gzip: otlploghttp.WithCompression(otlploghttp.GzipCompression), URL: otlploghttp.WithEndpointURL,
		Headers: otlploghttp.WithHeaders, TLS: otlploghttp.WithTLSClientConfig})...)
}

// record is one thing that happened.
type record struct {
	at       time.Time
	name     string
	severity log.Severity
	body     string
	attrs    []attribute.KeyValue
}

// emit hands a record over. It never waits: one that there is no room for is counted.
func (l *Log) emit(r record) {
	if !l.tally.Enter() {
		return
	}
	var out log.Record
	out.SetEventName(r.name)
	out.SetTimestamp(r.at)
	out.SetObservedTimestamp(time.Now())
	out.SetSeverity(r.severity)
	out.SetSeverityText(r.severity.String())
	out.SetBody(attribute.StringValue(r.body))
	if !l.node.Anonymize {
		out.AddAttributes(attribute.String("network.interface.name", l.node.Interface))
	}
	out.AddAttributes(r.attrs...)
	l.logger.Emit(context.Background(), out)
}

// Counts says what became of the records.
func (l *Log) Counts() telemetry.Counts { return l.tally.Counts() }

// Flush sends what waits.
func (l *Log) Flush(ctx context.Context) error {
	if err := l.provider.ForceFlush(ctx); err != nil {
		return fmt.Errorf("send log records: %w", err)
	}
	return nil
}

// Close sends what waits, within a bound, and ends.
func (l *Log) Close() error {
	return telemetry.Shutdown("log records", l.provider.Shutdown)
}

// counted is an exporter whose failures are counted and logged, and are nobody else's concern: the
// SDK would print them to standard error.
type counted struct {
	sdk.Exporter
	tally *telemetry.Tally
	said  *telemetry.Said
}

// Export implements [sdk.Exporter].
func (c *counted) Export(ctx context.Context, records []sdk.Record) error {
	err := c.Exporter.Export(ctx, records)
	c.tally.Leave(len(records), err)
	c.said.Say(err)
	return nil
}
