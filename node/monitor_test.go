package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
)

// Traffic, drops and moves of endpoints can be seen in the metrics.
func TestMetricsMove(t *testing.T) {
	psk := key.GeneratePreshared()
	m := newMonitored(t, psk, psk)
	alice, bob := newAsker(t, m.aliceAt), newAsker(t, m.bobAt)
	l, err := m.bob.Net().Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })}
	go func() { _ = srv.Serve(l) }() // until the test ends
	defer srv.Close()
	if got := m.alice.get("http://10.0.0.2/"); got != "hello" {
		t.Fatalf("got %q through the tunnel", got)
	}
	for _, c := range []struct {
		who  *asker
		seen string
	}{{alice, "A1 A2 A3 A4 A5 A6"}, {bob, "B1 B2 B3 B4 B7 B8"}} {
		_, body := c.who.get("/metrics")
		for _, m := range regexp.MustCompile(`wgnode_checkpoint_packets_total\{checkpoint="(..)".*\} (\S+)`).FindAllStringSubmatch(body, -1) {
			if passed := m[2] != "0"; passed != strings.Contains(c.seen, m[1]) {
				t.Errorf("at %s %s packets, and should have been at %s", m[1], m[2], c.seen)
			}
		}
		for _, name := range []string{"wireguard_sent_bytes_total", "wireguard_received_bytes_total", "wireguard_latest_handshake_seconds",
			"wireguard_peer_transmit_bytes_total", "wireguard_peer_receive_bytes_total", "wireguard_peer_last_handshake_seconds"} {
			if v := c.who.metric(name); v == "" || v == "0" {
				t.Errorf("%s is %q", name, v)
			}
		}
	}

	// A packet that is none of WireGuard's.
	c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", m.bob.Tunnel().ListenPort()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(strings.Repeat("x", 40))); err != nil {
		t.Fatal(err)
	}
	await(t, m.bob, "wrong packet", func(e *probe.Event) bool { return e.Reason == probe.UnknownType })
	if v := bob.metric("wgnode_dropped_packets_total", `public_key=""`, `reason="unknown-type"`); v != "1" {
		t.Errorf("%q wrong packets, want 1", v)
	}
	// Data for nobody is alice's own fault.
	if c, err := m.alice.Net().DialContext(t.Context(), "udp", "172.16.0.1:9"); err != nil {
		t.Fatal(err)
	} else if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	await(t, m.alice, "refused packet", func(e *probe.Event) bool { return e.Reason == probe.NoAllowedIPsMatch })
	if v := alice.metric("wgnode_dropped_packets_total", `reason="no-allowedips-match"`); v != "1" {
		t.Errorf("%q packets for nobody, want 1", v)
	}

	peer := `public_key="` + m.b.Public().Base64() + `"`
	if v := alice.metric("wgnode_endpoint_changes_total", peer, `friendly_name="bob"`); v != "0" {
		t.Errorf("%q endpoint changes before one", v)
	}
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), m.bob.Tunnel().ListenPort())
	if err := m.alice.Tunnel().SetEndpoint(m.b.Public(), at); err != nil {
		t.Fatal(err)
	}
	if v := alice.metric("wgnode_endpoint_changes_total", peer, `friendly_name="bob"`); v != "1" {
		t.Errorf("%q endpoint changes, want 1", v)
	}
	for _, own := range []string{"go_goroutines", "process_open_fds"} {
		if _, body := alice.get("/metrics"); !strings.Contains(body, "\n"+own+" ") {
			t.Errorf("nothing of %s", own)
		}
	}
}

// A node is not ready as long as a peer that is kept alive is not up, and says
// why; nothing that it says holds a secret.
func TestReadiness(t *testing.T) {
	psk, wrong := key.GeneratePreshared(), key.GeneratePreshared()
	m := newMonitored(t, wrong, psk)
	alice, bob := newAsker(t, m.aliceAt), newAsker(t, m.bobAt)
	await(t, m.alice, "rejected response", func(e *probe.Event) bool { return e.Reason == probe.ResponseRejected })
	status, r := alice.ready()
	if status != http.StatusServiceUnavailable || r.Status != "not-ready" || r.Interface != "alice" || len(r.Causes) != 1 {
		t.Fatalf("status %d, %+v", status, r)
	}
	if c := r.Causes[0]; c.Code != diagnose.PSKMismatch || c.Peer != m.b.Public().Base64() || c.PeerName != "bob" || c.Summary == "" ||
		c.State != diagnose.StateFailing || c.Checkpoint != "A3" || c.Class != diagnose.PSKMismatch.Class() {
		t.Errorf("cause %+v", c)
	}
	if v := alice.metric("wgnode_handshake_failures_total", `friendly_name="bob"`, `reason="response-rejected"`); v == "" || v == "0" {
		t.Errorf("%q rejected responses", v)
	}
	if v := alice.metric("wgnode_peer_verdict", `friendly_name="bob"`, `state="failing"`, `code="psk-mismatch"`); v != "1" {
		t.Errorf("the verdict's metric is %q", v)
	}
	// Nobody has asked bob yet: a scrape does not wait for a doctor, and has one asked.
	verdict := []string{`friendly_name=`, `state="`}
	if v := bob.metric("wgnode_peer_verdict", verdict...); v != "" {
		t.Errorf("bob's verdict before anybody has asked: %q", v)
	}
	patience.Until(t, "bob's verdict", func() bool { return bob.metric("wgnode_peer_verdict", verdict...) == "1" })
	if v := bob.metric("wgnode_verdict_age_seconds"); v == "" {
		t.Error("the verdict has no age")
	}
	// Bob does not wait for anybody: who calls is the callers' matter.
	if status, r := bob.ready(); status != http.StatusOK || r.Status != "ready" || len(r.Causes) != 0 {
		t.Errorf("bob: status %d, %+v", status, r)
	}
	for _, a := range []*asker{alice, bob} {
		var h exporter.Health
		status, body := a.get("/healthz")
		if err := json.Unmarshal([]byte(body), &h); err != nil || status != http.StatusOK || h.Status != "ok" ||
			h.PID != os.Getpid() || !h.Netstack {
			t.Errorf("health: status %d, %v, %q", status, err, body)
		}
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			_, body := a.get(path)
			for _, secret := range []interface{ Base64() string }{m.a, m.b, psk, wrong} {
				if strings.Contains(body, secret.Base64()) {
					t.Errorf("%s tells a key", path)
				}
			}
		}
	}

	// A peer that is taken away and put back shakes hands at once.
	without := m.aliceWith(t, psk)
	without.Peers = nil
	for _, cfg := range []*config.Config{without, m.aliceWith(t, psk)} {
		if err := m.alice.Reload(t.Context(), cfg, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	await(t, m.alice, "session", func(e *probe.Event) bool {
		return e.Seam == probe.SeamDevice && e.Kind == probe.KindResponse && e.Reason == probe.ReasonNone
	})
	patience.See(t, "alice to be ready after the repair", func() (string, bool) {
		status, r := alice.ready() // the answer from before may be given once more
		return fmt.Sprintf("status %d, %+v", status, r), status == http.StatusOK && r.Status == "ready" && len(r.Causes) == 0
	})
}

// A reload moves the listener where the file says, without refusing anybody
// where it stays.
func TestMonitorMoves(t *testing.T) {
	cfg := func(at config.Listen) *config.Config {
		c := parse(t, "alice", "[Interface]\nPrivateKey="+key.GeneratePrivate().Base64()+"\nAddress=10.0.0.1/24\n")
		c.Metrics.Listen = at
		return c
	}
	first, second := freePort(t), socketIn(t)
	n := startStack(t, t.TempDir(), cfg(first))
	reload := func(at config.Listen) error { return n.Reload(t.Context(), cfg(at), io.Discard) }
	alive := func(at config.Listen) bool {
		_, _, err := newAsker(t, at).try("/healthz")
		return err == nil
	}

	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() {
		a, n := newAsker(t, first), 0
		for ; ctx.Err() == nil; n++ {
			if status, _, err := a.try("/healthz"); err != nil || status != http.StatusOK {
				asked <- fmt.Errorf("request %d: status %d, %w", n, status, err)
				return
			}
		}
		asked <- nil
	}()
	for range 20 {
		if err := reload(first); err != nil {
			t.Error(err)
		}
	}
	cancel()
	if err := <-asked; err != nil {
		t.Error(err)
	}

	// What cannot be leaves all as it is.
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := reload(config.Listen{Network: "tcp", Address: other.Addr().String()}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("an address that is taken: %v", err)
	}
	if !alive(first) || n.Config().Metrics.Listen != first {
		t.Error("after a failure the first listener is gone")
	}
	bad := cfg(second)
	bad.Interface.KillSwitch = true // which takes an interface
	if err := n.Reload(t.Context(), bad, io.Discard); err == nil || !alive(first) || alive(second) {
		t.Errorf("a reload that fails later: %v", err)
	}

	if err := reload(second); err != nil || alive(first) || !alive(second) {
		t.Errorf("moved: %v", err)
	}
	if info, err := os.Stat(second.Address); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := reload(config.Listen{}); err != nil || alive(second) {
		t.Errorf("switched off: %v", err)
	}
	if err := reload(second); err != nil || !alive(second) {
		t.Errorf("switched on: %v", err)
	}
	if err := n.stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(second.Address); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket stays behind: %v", err)
	}
}

// A place that is taken is an error of Start's, and a file there is not lost.
func TestMonitorRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "precious")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := parse(t, "alice", "[Interface]\nPrivateKey="+key.GeneratePrivate().Base64()+"\n")
	_, err := Start(t.Context(), cfg, Options{Netstack: true, NoUAPI: true, RunDir: dir,
		Metrics: config.Listen{Network: "unix", Address: file}})
	if err == nil || !strings.Contains(err.Error(), file+" exists and is not a socket") {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "x" {
		t.Errorf("the file is %q, %v", b, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "alice*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Whoever asks, and however badly, leaves nothing behind.
func TestMonitorLeaks(t *testing.T) {
	cfg := parse(t, "alice", "[Interface]\nPrivateKey="+key.GeneratePrivate().Base64()+"\n")
	n, err := Start(t.Context(), cfg, Options{Netstack: true, NoUAPI: true, RunDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	before := goleak.IgnoreCurrent()
	m, err := exporter.Open(exporter.Place{Listen: socketIn(t)}, n.exported())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- m.Run(ctx) }()
	var conns []net.Conn
	for _, request := range []string{"", "GET /metr", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01"} {
		c, err := net.Dial("unix", m.At().Address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	a := newAsker(t, m.At())
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/": 404, "/debug/pprof/": 404} {
		if got, _ := a.get(path); got != want {
			t.Errorf("%s: status %d, want %d", path, got, want)
		}
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	for _, c := range conns {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	goleak.VerifyNone(t, before)
}
