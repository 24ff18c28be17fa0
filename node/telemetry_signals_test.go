//go:build !small

package node

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
)

// otlpReceiver keeps what is sent to it but spans, as text.
type otlpReceiver struct {
	*httptest.Server

	mu      sync.Mutex
	logs    []string // guarded by mu: names of events, with a state or an error
	whole   string   // guarded by mu: all logs
	metrics string   // guarded by mu: the latest
}

func newOTLPReceiver(t *testing.T) *otlpReceiver {
	r := &otlpReceiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := r.take(req); err != nil {
			t.Error(err)
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *otlpReceiver) take(req *http.Request) error {
	if req.URL.Path == "/v1/traces" {
		return nil
	}
	body, err := gzip.NewReader(req.Body)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.URL.Path == "/v1/metrics" {
		var got colmetrics.ExportMetricsServiceRequest
		err := proto.Unmarshal(text, &got)
		r.metrics = prototext.Format(&got)
		return err
	}
	var got collogs.ExportLogsServiceRequest
	if err := proto.Unmarshal(text, &got); err != nil {
		return err
	}
	r.whole += prototext.Format(&got)
	for _, of := range got.ResourceLogs {
		for _, scope := range of.ScopeLogs {
			for _, rec := range scope.LogRecords {
				line := rec.EventName
				for _, a := range rec.Attributes {
					switch a.Key {
					case "wgnode.peer.state", "wgnode.peer.name", "error.type":
						line += " " + a.Value.GetStringValue()
					}
				}
				r.logs = append(r.logs, line)
			}
		}
	}
	return nil
}

func (r *otlpReceiver) await(t *testing.T, line string) {
	t.Helper()
	patience.See(t, line, func() (string, bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		all := strings.Join(r.logs, "\n") + "\n"
		return all, strings.Contains(all, line+"\n")
	})
}

// What becomes of a node and its peers is told by OTLP, and the metrics are sent, by itself, also where
// no history is kept. No secret is in it.
func TestTellsByOTLP(t *testing.T) {
	r := newOTLPReceiver(t)
	a, b, psk := key.GeneratePrivate(), key.GeneratePrivate(), key.GeneratePreshared()
	bob := startStack(t, t.TempDir(), parse(t, "bob", fmt.Sprintf("[Interface]\nPrivateKey=%s\nAddress=10.0.0.2/24\n"+
		"[Peer]\n#Name = alice\nPublicKey=%s\nPresharedKey=%s\nAllowedIPs=10.0.0.1/32\n", b.Base64(), a.Public().Base64(), psk.Base64())))
	cfg := func(name string) *config.Config {
		c, err := config.ParseTOML(strings.NewReader(fmt.Sprintf("[interface]\nprivate_key = %q\naddress = [\"10.0.0.1/24\"]\n"+
			"[telemetry]\nendpoint = %q\nheaders = \"authorization=Bearer%%20hunter2\"\n"+
			"[[peer]]\nname = %q\npublic_key = %q\npreshared_key = %q\nallowed_ips = [\"10.0.0.2/32\"]\nendpoint = \"127.0.0.1:%d\"\n",
			a.Base64(), r.URL, name, b.Public().Base64(), psk.Base64(), bob.Tunnel().ListenPort())), "alice.toml")
		if err != nil {
			t.Fatal(err)
		}
		c.Name = "alice"
		return c
	}
	alice := startStack(t, t.TempDir(), cfg("bob"))
	r.await(t, "wgnode.node.started")
	if _, err := bob.Net().Listen("tcp", ":80"); err != nil {
		t.Fatal(err)
	}
	c, err := alice.Net().DialContext(patience.Context(t), "tcp", "10.0.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	r.await(t, "wgnode.peer.state bob up")
	if err := alice.Reload(t.Context(), cfg("robert"), io.Discard); err != nil {
		t.Fatal(err)
	}
	r.await(t, "wgnode.reload")
	wrong := cfg("robert")
	wrong.Interface.KillSwitch = true // which takes an interface
	if err := alice.Reload(t.Context(), wrong, io.Discard); err == nil {
		t.Error("a node without an interface has a kill switch")
	}
	r.await(t, "wgnode.reload reload")
	if err := alice.stop(); err != nil {
		t.Error(err)
	}
	r.await(t, "wgnode.node.stopped")
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, want := range []string{"wireguard_sent_bytes_total", "wgnode_checkpoint_packets_total", "wgnode_telemetry_items_total", "robert"} {
		if !strings.Contains(r.metrics, want) {
			t.Errorf("there is no %s in the metrics that were sent:\n%s", want, r.metrics)
		}
	}
	for _, secret := range []string{a.Base64(), psk.Base64(), "hunter2"} {
		if strings.Contains(r.whole+r.metrics, secret) {
			t.Errorf("%s was sent", secret)
		}
	}
}
