package metrics

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/netstack"
	"github.com/wgnode/wgnode/tunnel/udp"
)

// public returns the n-th of a series of keys.
func public(n int) key.Public {
	var k key.Public
	binary.BigEndian.PutUint32(k[:], uint32(n))
	return k
}

func newTunnel(t testing.TB, c tunnel.Config) *tunnel.Tunnel {
	t.Helper()
	dev, _, err := netstack.New([]netip.Addr{netip.MustParseAddr("10.0.0.1")}, 1420)
	if err != nil {
		t.Fatal(err)
	}
	tun, err := tunnel.New(dev, udp.New(udp.Options{}), tunnel.Options{RecorderBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tun.Close)
	if err := tun.Configure(c); err != nil {
		t.Fatal(err)
	}
	return tun
}

// scrape returns what a collector has to say as Prometheus reads it.
func scrape(t testing.TB, c prometheus.Collector) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// Dashboards know the metrics by these names, types and labels.
func TestNames(t *testing.T) {
	own := key.GeneratePrivate()
	tun := newTunnel(t, tunnel.Config{PrivateKey: own, Peers: []tunnel.PeerConfig{
		{Name: "a \"b\"\xff", PublicKey: public(1), PresharedKey: key.GeneratePreshared(), Endpoint: netip.MustParseAddrPort("192.0.2.1:51820"),
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/32"), netip.MustParsePrefix("fd00::2/128")}},
		{PublicKey: public(2)},
	}})
	if err := tun.SetEndpoint(public(1), netip.MustParseAddrPort("[2001:db8::1]:51820")); err != nil {
		t.Fatal(err)
	}
	if err := tun.SetEndpoint(public(2), netip.MustParseAddrPort("192.0.2.2:51820")); err != nil {
		t.Fatal(err) // its first one, which is no change
	}
	text := scrape(t, New("wg0", tun))
	var got []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "# HELP") {
			got = append(got, strings.TrimSuffix(line, "\n"))
		}
	}
	a, b, k := public(1).Base64(), public(2).Base64(), own.Public().Base64()
	const allowed, name = `allowed_ips="10.0.0.2/32,fd00::2/128"`, `name="a \"b\"` + "\ufffd" + `"`
	want := []string{"# TYPE wgnode_checkpoint_packets_total counter"}
	for _, c := range strings.Fields("A1 A2 A3 A4 A5 A6 B1 B2 B3 B4 B7 B8") {
		want = append(want, `wgnode_checkpoint_packets_total{checkpoint="`+c+`",interface="wg0"} 0`)
	}
	want = append(want,
		"# TYPE wgnode_endpoint_changes_total counter",
		`wgnode_endpoint_changes_total{friendly_name="`+b[:8]+`",interface="wg0",public_key="`+b+`"} 0`,
		`wgnode_endpoint_changes_total{friendly_`+name+`,interface="wg0",public_key="`+a+`"} 1`,
		"# TYPE wireguard_device_info gauge",
		`wireguard_device_info{device="wg0",public_key="`+k+`"} 1`,
	)
	one := func(metric, kind string) {
		want = append(want, "# TYPE "+metric+" "+kind,
			metric+`{allowed_ips="",friendly_name="`+b[:8]+`",interface="wg0",public_key="`+b+`"} 0`,
			metric+`{`+allowed+`,friendly_`+name+`,interface="wg0",public_key="`+a+`"} 0`)
	}
	other := func(metric, kind string) {
		want = append(want, "# TYPE "+metric+" "+kind,
			metric+`{device="wg0",public_key="`+a+`"} 0`, metric+`{device="wg0",public_key="`+b+`"} 0`)
	}
	one("wireguard_latest_handshake_seconds", "gauge")
	want = append(want, "# TYPE wireguard_peer_info gauge",
		`wireguard_peer_info{allowed_ips="",device="wg0",endpoint="192.0.2.2:51820",name="`+b[:8]+`",public_key="`+b+`"} 1`,
		`wireguard_peer_info{`+allowed+`,device="wg0",endpoint="[2001:db8::1]:51820",`+name+`,public_key="`+a+`"} 1`)
	other("wireguard_peer_last_handshake_seconds", "gauge")
	other("wireguard_peer_receive_bytes_total", "counter")
	other("wireguard_peer_transmit_bytes_total", "counter")
	one("wireguard_received_bytes_total", "counter")
	one("wireguard_sent_bytes_total", "counter")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promtool would say: %v, %v", problems, err)
	}
}

// asked is what a handler answers to who takes the types that accept names.
func asked(t testing.TB, h http.Handler, accept string) (contentType, body string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Header().Get("Content-Type"), w.Body.String()
}

// What is answered is what a registry has answered, in every format.
func TestAsByRegistry(t *testing.T) {
	tun := newTunnel(t, tunnel.Config{PrivateKey: key.GeneratePrivate(), Peers: []tunnel.PeerConfig{
		{Name: "a \"b\\c\nd", PublicKey: public(1), Endpoint: netip.MustParseAddrPort("192.0.2.1:51820"),
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/32"), netip.MustParsePrefix("fd00::2/128")}},
		{PublicKey: public(2)},
	}})
	c := New("wg0", tun)
	at := time.Now()
	v := NewVerdicts("wg0", func() Kept {
		return Kept{At: at, Peers: []explain.KeptPeer{{PeerReport: diagnose.PeerReport{Peer: public(1).Base64(), State: diagnose.StateUp}}}}
	})
	others := []prometheus.Collector{NewRestored("wg0", func() map[string]uint64 { return map[string]uint64{"firewall": 123456789} })}
	h, err := Handler(c, v, others, 1)
	if err != nil {
		t.Fatal(err)
	}
	lines := func(text string) []string {
		var all []string
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, verdictAge.name+"{") { // it is another one now
				all = append(all, line)
			}
		}
		slices.Sort(all)
		return all
	}
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c, v, others[0])
	registry := promhttp.HandlerFor(r, promhttp.HandlerOpts{})
	const open = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
	for _, accept := range []string{"", "text/plain;version=0.0.4", open} {
		want, theirs := asked(t, registry, accept)
		kind, ours := asked(t, h, accept)
		if diff := cmp.Diff(lines(theirs), lines(ours)); diff != "" || kind != want {
			t.Errorf("accept %q: %s, want %s; a registry's -, ours +\n%s", accept, kind, want, diff)
		}
	}
	const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	if kind, body := asked(t, h, protobuf); !strings.HasPrefix(kind, "application/vnd.google.protobuf") || !strings.Contains(body, sent.name) {
		t.Errorf("who wants protobuf gets %s", kind)
	}
	_, body := asked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.RawQuery = "name[]=" + sent.name
		h.ServeHTTP(w, r)
	}), "")
	if strings.Contains(body, received.name) || !strings.Contains(body, sent.name) {
		t.Errorf("who wants one metric gets\n%s", body)
	}
}

// A scrape is answered compressed to who takes that.
func TestCompressed(t *testing.T) {
	h, err := Handler(New("wg0", newTunnel(t, tunnel.Config{})), NewVerdicts("wg0", func() Kept { return Kept{} }), nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	for accept, want := range map[string]bool{"gzip": true, "deflate, gzip;q=0.5": true, "gzip;q=0": false, "": false} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept-Encoding", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		body := io.Reader(w.Body)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != want {
			t.Fatalf("accept-encoding %q: compressed is %v", accept, got)
		}
		if want {
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		if text, err := io.ReadAll(body); err != nil || !strings.Contains(string(text), checkpoints.name) {
			t.Errorf("accept-encoding %q: %v, %q", accept, err, text)
		}
	}
}

// hub returns a handler for a tunnel of n peers.
func hub(t testing.TB, n int) http.Handler {
	c := tunnel.Config{PrivateKey: key.GeneratePrivate()}
	kept := Kept{At: time.Now()}
	for i := range n {
		c.Peers = append(c.Peers, tunnel.PeerConfig{Name: fmt.Sprintf("peer %d", i), PublicKey: public(i + 1),
			AllowedIPs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 32)}})
		kept.Peers = append(kept.Peers, explain.KeptPeer{PeerReport: diagnose.PeerReport{Peer: public(i + 1).Base64(), State: diagnose.StateUp}})
	}
	h, err := Handler(New("wg0", newTunnel(t, c)), NewVerdicts("wg0", func() Kept { return kept }), nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// counted counts what is answered.
type counted struct {
	header http.Header
	bytes  int
}

func (c *counted) Header() http.Header         { return c.header }
func (c *counted) WriteHeader(int)             {}
func (c *counted) Write(b []byte) (int, error) { c.bytes += len(b); return len(b), nil }

// BenchmarkScrape is a scrape of ten thousand peers.
func BenchmarkScrape(b *testing.B) {
	h := hub(b, 10_000)
	b.ReportAllocs()
	w := &counted{header: make(http.Header)}
	for b.Loop() {
		w.bytes = 0
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
	b.ReportMetric(float64(w.bytes), "bytes")
}
