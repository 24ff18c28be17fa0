//go:build !small

package node

import (
	"io"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/telemetry/otlptest"
	"github.com/wgnode/wgnode/probe/patience"
)

// retold reloads a node with other telemetry.
func (s *stackNode) retold(c config.Telemetry) error {
	cfg := *s.Config()
	cfg.Telemetry = c
	return s.Reload(s.t.Context(), &cfg, io.Discard)
}

// A reload turns telemetry on, and off; then both ends of a connection have sent their part of one
// trace. What cannot be done is refused before anything changes.
func TestTelemetryReload(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	var receiver otlptest.Receiver
	server := httptest.NewServer(&receiver)
	t.Cleanup(server.Close)
	alice, bob := pair(t)
	c := config.Telemetry{Endpoint: server.URL, Headers: "authorization=Bearer%20word", Sample: "100%"}
	for _, n := range []*stackNode{bob, alice} {
		if err := n.retold(c); err != nil {
			t.Fatal(err)
		}
	}
	const want = "flow\n  A1-A4\n  wire\n    B3-B8\n      B3-B4\n      B4-B7\n      B7-B8\n  A5-A6\n"
	patience.See(t, "a trace of both ends", func() (string, bool) {
		if got := alice.get("http://10.0.0.2/"); got != "hello" { // the first ones may come before the nodes look
			t.Fatalf("got %q", got)
		}
		var trees []string
		for _, tree := range otlptest.Trees(receiver.Spans(), func(s *otlptest.Span) bool { return s.Name == "flow" }) {
			trees = append(trees, strings.ReplaceAll(tree, hostOf(receiver.Spans())+" ", ""))
		}
		for _, tree := range trees {
			if tree == want {
				return "", true
			}
		}
		return cmp.Diff([]string{want}, trees), false
	})
	instances := make(map[string]bool)
	for _, s := range receiver.Spans() {
		instances[s.Instance] = true
	}
	if len(instances) != 2 {
		t.Errorf("instances: %v", instances)
	}
	bad := c
	bad.CAFile = filepath.Join(t.TempDir(), "none.pem")
	if err := alice.retold(bad); err == nil || !strings.Contains(err.Error(), "none.pem") || strings.Contains(err.Error(), "word") {
		t.Errorf("certificates that are not there: %v", err)
	}
	if !alice.Config().Telemetry.Same(c) {
		t.Error("it is the node's configuration nevertheless")
	}
	if err := alice.retold(config.Telemetry{}); err != nil {
		t.Fatal(err)
	}
	patience.Until(t, "the end of telemetry", func() bool { return alice.telemetryCounts() == nil })
	if bob.telemetryCounts() == nil {
		t.Error("the other one has ended, too")
	}
}

// hostOf is the name of the one host that has sent spans.
func hostOf(spans []otlptest.Span) string {
	if len(spans) == 0 {
		return ""
	}
	return spans[0].Host
}
