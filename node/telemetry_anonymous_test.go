//go:build !small

package node

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
)

// With anonymize no name, no address and no key leaves the host in any signal, whatever has
// happened, from the moment that a reload asks for it.
func TestAnonymized(t *testing.T) {
	var mu sync.Mutex
	sent := make(map[string][]byte) // guarded by mu: bodies by path
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		b, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		sent[r.URL.Path] = append(sent[r.URL.Path], b...)
	}))
	t.Cleanup(server.Close)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	t.Setenv("OTEL_BLRP_SCHEDULE_DELAY", "20")
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
	alice, bob := pair(t)
	cfg := *alice.Config()
	cfg.Telemetry = config.Telemetry{Endpoint: server.URL, Sample: "100%", Anonymize: true}
	if err := alice.Reload(t.Context(), &cfg, io.Discard); err != nil {
		t.Fatal(err)
	}
	stranger := key.GeneratePrivate().Public()
	patience.See(t, "all three signals", func() (string, bool) {
		if got := alice.get("http://10.0.0.2/"); got != "hello" {
			t.Fatalf("got %q", got)
		}
		if c, err := alice.Net().DialContext(patience.Context(t), "udp", "10.0.0.77:53"); err == nil { // whose answers bob does not allow
			_, _ = c.Write([]byte("x"))
			_ = c.Close()
		}
		other := cfg
		other.Peers = append(other.Peers[:len(other.Peers):len(other.Peers)], config.Peer{PublicKey: stranger, Name: "a-stranger"})
		if err := alice.Reload(t.Context(), &other, io.Discard); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		sizes := fmt.Sprint(len(sent["/v1/traces"]), len(sent["/v1/logs"]), len(sent["/v1/metrics"]))
		return sizes, len(sent["/v1/traces"]) > 5000 && len(sent["/v1/logs"]) > 0 && len(sent["/v1/metrics"]) > 5000
	})
	if err := alice.stop(); err != nil {
		t.Error(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, secret := range []string{"10.0.0.", "127.0.0.1", "bob", "alice", "a-stranger", host,
		alice.Tunnel().PublicKey().Base64(), bob.Tunnel().PublicKey().Base64(), stranger.Base64()} {
		for path, b := range sent {
			if i := bytes.Index(b, []byte(secret)); i >= 0 {
				t.Errorf("%s has %q: %q", path, secret, strings.ToValidUTF8(string(b[max(0, i-60):min(len(b), i+60)]), "."))
			}
		}
	}
}
