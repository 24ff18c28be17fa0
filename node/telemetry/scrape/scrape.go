// Package scrape sends by OTLP what a node's /metrics has, at an interval: the same metrics with the
// same names, for those who have no Prometheus that could ask the node itself.
//
//	prometheus.Gatherer ── bridge ── reader, every minute ── OTLP exporter ──> receiver
//
// What is not taken is gone: the next one has the same counters with all that came since. So
// nothing waits, and a receiver that is down costs no memory.
package scrape

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc/credentials"

	"github.com/wgnode/wgnode/node/telemetry"
	"github.com/wgnode/wgnode/probe/key"
)

// Sender sends the metrics of one node. Its methods are safe for concurrent use.
type Sender struct {
	provider *metric.MeterProvider
	tally    *telemetry.Tally
}

// Open begins to send what from gathers: every minute, or as OTEL_METRIC_EXPORT_INTERVAL says.
func Open(ctx context.Context, o telemetry.Options, from prometheus.Gatherer) (*Sender, error) {
	to, err := telemetry.To(&o.Config, telemetry.Metrics)
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
	from = gatherer{from, o.Node.Anonymize}
	s := &Sender{tally: telemetry.NewTally(1)}
	s.provider = metric.NewMeterProvider(metric.WithResource(r), metric.WithReader(metric.NewPeriodicReader(
		&counted{exporter, s.tally, telemetry.NewSaid(&o, telemetry.Metrics)},
		metric.WithProducer(bridge.NewMetricProducer(bridge.WithGatherer(from))))))
	return s, nil
}

func open(ctx context.Context, to *telemetry.Destination) (metric.Exporter, error) {
	if to.GRPC {
		return otlpmetricgrpc.New(ctx, telemetry.OptionsTo(to, telemetry.Setters[otlpmetricgrpc.Option]{
			Gzip: otlpmetricgrpc.WithCompressor("gzip"), URL: otlpmetricgrpc.WithEndpointURL, Headers: otlpmetricgrpc.WithHeaders,
			TLS: func(c *tls.Config) otlpmetricgrpc.Option {
				return otlpmetricgrpc.WithTLSCredentials(credentials.NewTLS(c))
			}})...)
	}
	return otlpmetrichttp.New(ctx, telemetry.OptionsTo(to, telemetry.Setters[otlpmetrichttp.Option]{
		Gzip: otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression), URL: otlpmetrichttp.WithEndpointURL,
		Headers: otlpmetrichttp.WithHeaders, TLS: otlpmetrichttp.WithTLSClientConfig})...)
}

// Counts says what became of the metrics; an item is all of them at a time.
func (s *Sender) Counts() telemetry.Counts { return s.tally.Counts() }

// Flush sends the metrics as they are now.
func (s *Sender) Flush(ctx context.Context) error {
	if err := s.provider.ForceFlush(ctx); err != nil {
		return fmt.Errorf("send metrics: %w", err)
	}
	return nil
}

// Close sends them a last time, within a bound, and ends.
func (s *Sender) Close() error {
	return telemetry.Shutdown("metrics", s.provider.Shutdown)
}

// counted is an exporter whose failures are counted and logged, and are nobody else's concern: the
// SDK would print them to standard error.
type counted struct {
	metric.Exporter
	tally *telemetry.Tally
	said  *telemetry.Said
}

// Export implements [metric.Exporter].
func (c *counted) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	if !c.tally.Enter() {
		return nil
	}
	err := c.Exporter.Export(ctx, m)
	c.tally.Leave(1, err)
	c.said.Say(err)
	return nil
}

// named are the labels that hold names of interfaces and peers, and addresses.
var named = []string{"interface", "device", "friendly_name", "name", "allowed_ips", "endpoint"}

// instanced is the label that holds a public key. In its place is the id of the instance whose key it
// is, as spans have it.
const instanced = "public_key"

// gatherer gathers what is sent.
type gatherer struct {
	from      prometheus.Gatherer
	anonymize bool // without names, keys and addresses
}

// Gather implements [prometheus.Gatherer]. Its error is nil: the bridge would print it, and a node whose
// metrics cannot be gathered is one that ends.
func (g gatherer) Gather() ([]*dto.MetricFamily, error) {
	families, err := g.from.Gather()
	if err != nil {
		return nil, nil
	}
	if !g.anonymize {
		return families, nil
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			// A collector may have lent its own list.
			m.Label = slices.DeleteFunc(slices.Clone(m.Label), func(l *dto.LabelPair) bool { return slices.Contains(named, l.GetName()) })
			for i, l := range m.Label {
				if l.GetName() == instanced && l.GetValue() != "" {
					m.Label[i] = &dto.LabelPair{Name: l.Name, Value: new(instanceOf(l.GetValue()))}
				}
			}
		}
	}
	return families, nil
}

// instanceOf is the id of the instance that has a key, "" for what is none.
func instanceOf(public string) string {
	k, err := key.ParsePublic(public)
	if err != nil {
		return ""
	}
	return telemetry.Node{PublicKey: k}.InstanceID()
}
