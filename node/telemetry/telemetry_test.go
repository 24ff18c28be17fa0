package telemetry

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/telemetry/otlptest"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
)

func variables(pairs ...string) func(string) string {
	return func(name string) string {
		if i := slices.Index(pairs, name); i >= 0 && i%2 == 0 {
			return pairs[i+1]
		}
		return ""
	}
}

func TestWanted(t *testing.T) {
	const all, traces = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	for _, c := range []struct {
		name         string
		endpoint     string
		getenv       func(string) string
		traces, logs bool
	}{
		{"nothing says so", "", variables(), false, false},
		{"configuration", "http://a:4318", variables(), true, true},
		{"environment", "", variables(all, "http://a:4318"), true, true},
		{"environment, of one signal", "", variables(traces, "http://a:4318"), true, false},
		{"refused", "http://a:4318", variables("OTEL_SDK_DISABLED", "true"), false, false},
		{"refused for one signal", "http://a:4318", variables("OTEL_LOGS_EXPORTER", "none"), true, false},
	} {
		conf := config.Telemetry{Endpoint: c.endpoint}
		if got := sends(&conf, Traces, c.getenv); got != c.traces {
			t.Errorf("%s: sends traces: %t", c.name, got)
		}
		if got := sends(&conf, Logs, c.getenv); got != c.logs {
			t.Errorf("%s: sends logs: %t", c.name, got)
		}
	}
}

func TestDestination(t *testing.T) {
	for _, c := range []struct {
		name   string
		conf   config.Telemetry
		getenv func(string) string
		grpc   bool
		url    string
	}{
		{"http", config.Telemetry{Endpoint: "https://a:4318/base/"}, variables(), false, "https://a:4318/base/v1/traces"},
		{"grpc", config.Telemetry{Endpoint: "http://a:4317", Protocol: "grpc"}, variables(), true, "http://a:4317"},
		{"grpc by the environment", config.Telemetry{Endpoint: "http://a:4317"}, variables("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), true,
			"http://a:4317"},
		{"of the environment", config.Telemetry{}, variables("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:4318"), false, ""},
	} {
		d, err := destination(&c.conf, Traces, c.getenv)
		if err != nil || d.GRPC != c.grpc || d.URL != c.url {
			t.Errorf("%s: %+v, %v", c.name, d, err)
		}
	}
	if _, err := destination(&config.Telemetry{}, Traces, variables("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")); err == nil {
		t.Error("a protocol that there is not is taken")
	}
}

func TestRatio(t *testing.T) {
	for _, c := range []struct {
		sample string
		getenv func(string) string
		want   float64
	}{
		{"", variables(), 0.01}, {"5%", variables(), 0.05}, {"0.5", variables(), 0.5}, {"0%", variables(), 0}, {"100%", variables(), 1},
		{"", variables("OTEL_TRACES_SAMPLER", "always_on"), 1},
		{"", variables("OTEL_TRACES_SAMPLER", "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0.25"), 0.25},
		{"2%", variables("OTEL_TRACES_SAMPLER", "always_on"), 0.02},
	} {
		if got, err := ratio(&config.Telemetry{Sample: c.sample}, c.getenv); err != nil || got != c.want {
			t.Errorf("sample %q: %v, %v, want %v", c.sample, got, err, c.want)
		}
	}
}

// receiver is an OTLP receiver over HTTP that answers as it is told to.
type receiver struct {
	*httptest.Server
	status atomic.Int32
	says   atomic.Value  // what it says where it refuses: a func(*http.Request) string
	hold   chan struct{} // nil, or not closed: answers wait
	spans  atomic.Int64
	header atomic.Value
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.status.Store(http.StatusOK)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.hold != nil {
			select {
			case <-r.hold:
			case <-req.Context().Done():
				return
			}
		}
		status := int(r.status.Load())
		if status == http.StatusOK {
			body, err := otlptest.Body(req)
			var got coltrace.ExportTraceServiceRequest
			if err == nil {
				err = proto.Unmarshal(body, &got)
			}
			if err != nil || req.URL.Path != "/v1/traces" {
				t.Errorf("request %s: %v", req.URL.Path, err)
			}
			for _, of := range got.ResourceSpans {
				for _, scope := range of.ScopeSpans {
					r.spans.Add(int64(len(scope.Spans)))
				}
			}
			r.header.Store(req.Header.Get("Authorization"))
		}
		w.WriteHeader(status)
		if says, ok := r.says.Load().(func(*http.Request) string); ok && status != http.StatusOK {
			_, _ = io.WriteString(w, says(req))
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func span(n byte) tracetest.SpanStub {
	return tracetest.SpanStub{Name: "a", SpanContext: trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{n, 1}, SpanID: trace.SpanID{n, 1}, TraceFlags: trace.FlagsSampled})}
}

func open(t *testing.T, c config.Telemetry) *Sender {
	t.Helper()
	s, err := Open(context.Background(), Options{Config: c, Node: Node{Interface: "wg0", PublicKey: key.Public{1}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSend(t *testing.T) {
	r := newReceiver(t)
	s := open(t, config.Telemetry{Endpoint: r.URL, Headers: "authorization=Bearer%20word"})
	for i := range byte(10) {
		s.Send(span(i).Snapshot())
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, c := r.spans.Load(), s.Counts(); got != 10 || c != (Counts{Sent: 10}) || r.header.Load() != "Bearer word" {
		t.Errorf("received %d of %+v, authorization %v", got, c, r.header.Load())
	}
}

// A receiver that does not answer costs what the queue does not hold, counted, and nobody waits
// for it; once it answers again, all goes on.
func TestReceiverIsStuck(t *testing.T) {
	r := newReceiver(t)
	r.hold = make(chan struct{})
	s := open(t, config.Telemetry{Endpoint: r.URL})
	const extra = 1000
	for range maxSpans + extra {
		s.Send(span(1).Snapshot())
	}
	if c := s.Counts(); c.Lost != extra || c.Waiting != maxSpans || c.Sent != 0 {
		t.Errorf("%+v", c)
	}
	close(r.hold)
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitCounts(t, s, func(c Counts) bool { return c.Sent == maxSpans && c.Waiting == 0 })
	if got := r.spans.Load(); got != maxSpans {
		t.Errorf("received %d", got)
	}
}

func TestReceiverRefuses(t *testing.T) {
	r := newReceiver(t)
	r.status.Store(http.StatusForbidden)
	s := open(t, config.Telemetry{Endpoint: r.URL})
	s.Send(span(1).Snapshot())
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitCounts(t, s, func(c Counts) bool { return c == Counts{Refused: 1} })
	r.status.Store(http.StatusOK)
	s.Send(span(2).Snapshot())
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitCounts(t, s, func(c Counts) bool { return c == Counts{Sent: 1, Refused: 1} })
}

// What a receiver, or a proxy before it, says is logged, but no header that it repeats, however it is written.
func TestReceiverRepeatsHeaders(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("alice:s3cret-password"))
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-from=environment-t0ken")
	r := newReceiver(t)
	r.status.Store(http.StatusUnauthorized)
	r.says.Store(func(req *http.Request) string {
		return fmt.Sprintf("no such token: %v; s3cret-password, t0ken%%2Fslash, environment-t0ken%s", req.Header, strings.Repeat("!", 1000))
	})
	var log bytes.Buffer
	o := Options{Config: config.Telemetry{Endpoint: r.URL, Headers: config.Password("authorization=Basic%20" + url.PathEscape(basic) +
		",x-key=t0ken%2Fslash")}, Node: Node{Interface: "wg0", PublicKey: key.Public{1}}, Log: slog.New(slog.NewTextHandler(&log, nil))}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.Send(span(1).Snapshot())
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitCounts(t, s, func(c Counts) bool { return c.Refused == 1 })
	if err := s.Close(); err != nil { // the log is whole then
		t.Error(err)
	}
	text := log.String()
	for _, secret := range []string{basic, "s3cret", "t0ken"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %q: %s", secret, text)
		}
	}
	if !strings.Contains(text, "401") || !strings.Contains(text, "no such token") || len(text) > 2*mostSaid {
		t.Errorf("the log does not say why, or too much: %s", text)
	}
}

// What is sent is packed, unless the environment says otherwise.
func TestPacked(t *testing.T) {
	for variable, want := range map[string]bool{"": true, "gzip": false, "none": false} { // false: the exporter reads it itself
		d, err := destination(&config.Telemetry{Endpoint: "http://a:4318"}, Logs, variables("OTEL_EXPORTER_OTLP_COMPRESSION", variable))
		if err != nil || d.Gzip != want {
			t.Errorf("%q: %t, %v", variable, d.Gzip, err)
		}
	}
}

func awaitCounts(t *testing.T, s *Sender, good func(Counts) bool) {
	t.Helper()
	patience.See(t, "counts of spans", func() (string, bool) {
		c := s.Counts()
		return fmt.Sprintf("%+v", c), good(c)
	})
}

func TestResource(t *testing.T) {
	n := Node{Interface: "wg-secret", PublicKey: key.Public{1}, Version: "1.2"}
	r, err := n.Resource(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := r.String()
	for _, want := range []string{"service.name=wgnode", "service.instance.id=" + n.InstanceID(), "service.version=1.2", "host.name=",
		"wgnode.interface=wg-secret"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
	other := n
	other.PublicKey, other.Anonymize = key.Public{2}, true
	if other.InstanceID() == n.InstanceID() || len(n.InstanceID()) != 36 {
		t.Errorf("instances %s and %s", n.InstanceID(), other.InstanceID())
	}
	r, err = other.Resource(t.Context())
	if err != nil || strings.Contains(r.String(), "host.name") || strings.Contains(r.String(), "secret") {
		t.Errorf("%v, %v", r, err)
	}
}

// What is printed of a configuration has no header in it.
func TestHeadersAreHidden(t *testing.T) {
	c := config.Telemetry{Headers: "authorization=hunter2"}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c)} {
		if strings.Contains(text, "hunter2") {
			t.Error(text)
		}
	}
}
