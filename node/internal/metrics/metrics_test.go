package metrics

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

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

// BenchmarkCollect is a scrape of ten thousand peers, as text.
func BenchmarkCollect(b *testing.B) {
	c := tunnel.Config{PrivateKey: key.GeneratePrivate()}
	for n := range 10_000 {
		c.Peers = append(c.Peers, tunnel.PeerConfig{Name: fmt.Sprintf("peer %d", n), PublicKey: public(n + 1),
			AllowedIPs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), 32)}})
	}
	collector := New("wg0", newTunnel(b, c))
	var text string
	for b.Loop() {
		text = scrape(b, collector)
	}
	b.ReportMetric(float64(len(text)), "bytes")
}
