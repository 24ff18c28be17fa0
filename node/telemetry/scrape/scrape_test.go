package scrape

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/telemetry"
	"github.com/wgnode/wgnode/probe/key"
)

// receiver takes metrics by OTLP over HTTP, and keeps the latest ones.
type receiver struct {
	*httptest.Server
	status atomic.Int32
	latest atomic.Pointer[collector.ExportMetricsServiceRequest]
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.status.Store(http.StatusOK)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := gzip.NewReader(req.Body)
		if err != nil || req.URL.Path != "/v1/metrics" {
			t.Errorf("%s: %v", req.URL.Path, err)
			return
		}
		text, err := io.ReadAll(body)
		got := new(collector.ExportMetricsServiceRequest)
		if err == nil {
			err = proto.Unmarshal(text, got)
		}
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(int(r.status.Load()))
		if r.status.Load() == http.StatusOK {
			r.latest.Store(got)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func newSender(t *testing.T, r *receiver, anonymize bool, from prometheus.Gatherer) *Sender {
	t.Helper()
	s, err := Open(t.Context(), telemetry.Options{Config: config.Telemetry{Endpoint: r.URL},
		Node: telemetry.Node{Interface: "wg-secret", PublicKey: key.Public{1}, Anonymize: anonymize}}, from)
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

var peer = key.Public{7}

// registry has the metrics of a peer as a node names them.
func registry(t *testing.T) (*prometheus.Registry, prometheus.Counter) {
	t.Helper()
	r := prometheus.NewRegistry()
	labels := prometheus.Labels{"interface": "wg-secret", "friendly_name": "alice-secret", "allowed_ips": "10.9.8.7/32",
		"public_key": peer.Base64()}
	sent := prometheus.NewCounter(prometheus.CounterOpts{Name: "wireguard_sent_bytes_total", ConstLabels: labels})
	r.MustRegister(sent, prometheus.NewGauge(prometheus.GaugeOpts{Name: "wgnode_peer_verdict", ConstLabels: labels}))
	return r, sent
}

// What a receiver gets is what /metrics says, also after it has been gone for a while.
func TestSends(t *testing.T) {
	r := newReceiver(t)
	from, sent := registry(t)
	s := newSender(t, r, false, from)
	sent.Add(7)
	r.status.Store(http.StatusForbidden)
	if err := s.Flush(t.Context()); err != nil || s.Counts() != (telemetry.Counts{Refused: 1}) {
		t.Fatalf("%v, %+v", err, s.Counts())
	}
	sent.Add(1)
	r.status.Store(http.StatusOK)
	if err := s.Flush(t.Context()); err != nil || s.Counts() != (telemetry.Counts{Refused: 1, Sent: 1}) {
		t.Fatalf("%v, %+v", err, s.Counts())
	}
	text := prototext.Format(r.latest.Load())
	for _, want := range []string{"wireguard_sent_bytes_total", "wgnode_peer_verdict", "alice-secret", "10.9.8.7/32", peer.Base64(),
		"is_monotonic",
		"service.instance.id"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	of := r.latest.Load().ResourceMetrics[0].ScopeMetrics[0].Metrics
	if got := of[len(of)-1].GetSum().GetDataPoints()[0].GetAsDouble(); got != 8 {
		t.Errorf("the counter is %v", got)
	}
}

// With anonymize no name and no address in the tunnel leaves the host.
func TestAnonymize(t *testing.T) {
	r := newReceiver(t)
	from, _ := registry(t)
	if err := newSender(t, r, true, from).Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := prototext.Format(r.latest.Load())
	if strings.Contains(text, "secret") || strings.Contains(text, "10.9") || strings.Contains(text, peer.Base64()) ||
		!strings.Contains(text, telemetry.Node{PublicKey: peer}.InstanceID()) {
		t.Error(text)
	}
}
