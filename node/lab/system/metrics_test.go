//go:build linux

package system

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/patience"
)

// Health and metrics of a node with an interface, asked with curl: at a socket
// that a .toml names, and at an address of the command line.
func TestHealthAndMetrics(t *testing.T) {
	lab.Need(t, "curl", "ip", "ps")
	t.Parallel()
	s := newSite(t, false)
	before := sitetest.HostState(s.A)
	s.Up(s.H, s.ConfH)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text+"PersistentKeepalive = 25\nPresharedKey = "+lab.NewKey(t).Private+"\n", 0o600)
	s.A.Run(s.Wgnode, "convert", "/etc/wireguard/wg0.conf", "/etc/wireguard/wg0.toml")
	toml := s.A.ReadFile("/etc/wireguard/wg0.toml") + "\n[metrics]\nlisten = \"unix:/run/wg0.metrics\"\n"
	s.A.WriteFile("/etc/wireguard/wg0.toml", toml, 0o600)
	s.A.Run(s.Wgnode, "up", "/etc/wireguard/wg0.toml")
	curl := func(args ...string) (body, status string) {
		t.Helper()
		out := s.A.Run(append([]string{"curl", "-sS", "-w", "\n%{http_code}"}, args...)...)
		at := strings.LastIndexByte(out, '\n')
		return out[:at], out[at+1:]
	}
	ready := func(args ...string) (r exporter.Readiness, status string) {
		t.Helper()
		body, status := curl(args...)
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			t.Fatalf("%v in %q", err, body)
		}
		return r, status
	}
	if body, status := curl("--unix-socket", "/run/wg0.metrics", "http://node/healthz"); status != "200" ||
		!strings.Contains(body, `"interface":"wg0"`) {
		t.Errorf("healthz: %s, %s", status, body)
	}
	s.A.Start(s.Wgnode, "watch", "wg0", "--past", "reason", "response-rejected").WaitOutput(patience.Context(t), "response-rejected")
	r, status := ready("--unix-socket", "/run/wg0.metrics", "http://node/readyz")
	if status != "503" || len(r.Causes) != 1 || r.Causes[0].Code != diagnose.PSKMismatch || r.Causes[0].PeerName != "gateway" {
		t.Fatalf("readyz: %s, %+v", status, r)
	}
	failed := regexp.MustCompile(`wgnode_handshake_failures_total\{friendly_name="gateway",.*reason="response-rejected"\} [1-9]`)
	if body, _ := curl("--unix-socket", "/run/wg0.metrics", "http://node/metrics"); !failed.MatchString(body) {
		t.Errorf("no failed handshake in\n%s", body)
	}
	s.A.Run(s.Wgnode, "down", "wg0")
	sitetest.Unchanged(t, s.A, before)
	if out, _, err := s.A.Try("ls", "/run/wg0.metrics"); err != nil || !strings.Contains(out, "No such file") {
		t.Errorf("left behind: %v, %s", err, out)
	}

	// The same on an address, and with the right key.
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text+"PersistentKeepalive = 25\n", 0o600)
	sitetest.Fails(t, s.A, 2, "0.0.0.0:9586\" is not a loopback address", s.Wgnode, "up", "wg0", "--metrics", "0.0.0.0:9586")
	s.A.Run(s.Wgnode, "up", "wg0", "--metrics", "127.0.0.1:9586")
	if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
		t.Fatalf("curl printed %q", got)
	}
	if r, status := ready("http://127.0.0.1:9586/readyz"); status != "200" || r.Status != "ready" {
		t.Errorf("readyz: %s, %+v", status, r)
	}
	body, _ := curl("http://127.0.0.1:9586/metrics")
	for _, want := range []string{
		`wgnode_checkpoint_packets_total\{checkpoint="A1",interface="wg0"\} [1-9]`,
		`wgnode_checkpoint_packets_total\{checkpoint="A6",interface="wg0"\} [1-9]`,
		`wireguard_received_bytes_total\{allowed_ips=".*",friendly_name="gateway",interface="wg0",public_key="` +
			regexp.QuoteMeta(s.Gateway.Public) + `"\} [1-9]`,
	} {
		if !regexp.MustCompile(want).MatchString(body) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	s.A.Run(s.Wgnode, "down", "wg0")
	sitetest.Unchanged(t, s.A, before)
}
