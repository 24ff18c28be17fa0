package telemetry_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/internal/metrics"
	"github.com/wgnode/wgnode/node/telemetry"
	"github.com/wgnode/wgnode/node/telemetry/eventlog"
	"github.com/wgnode/wgnode/node/telemetry/scrape"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/probe/timeline"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/netstack"
	"github.com/wgnode/wgnode/tunnel/udp"
)

// weigher takes everything by OTLP, and weighs it.
type weigher struct {
	*httptest.Server

	mu                   sync.Mutex
	items, plain, packed int // guarded by mu
}

func newWeigher(t *testing.T) *weigher {
	w := &weigher{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = z
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(text); err != nil || z.Close() != nil {
			t.Error(err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.items += itemsIn(t, r.URL.Path, text)
		w.plain += len(text)
		w.packed += packed.Len()
	}))
	t.Cleanup(w.Close)
	return w
}

// itemsIn is how many spans, records or points a request has.
func itemsIn(t *testing.T, path string, text []byte) (n int) {
	var err error
	switch path {
	case "/v1/traces":
		var got coltrace.ExportTraceServiceRequest
		err = proto.Unmarshal(text, &got)
		for _, of := range got.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				n += len(scope.Spans)
			}
		}
	case "/v1/logs":
		var got collogs.ExportLogsServiceRequest
		err = proto.Unmarshal(text, &got)
		for _, of := range got.ResourceLogs {
			for _, scope := range of.ScopeLogs {
				n += len(scope.LogRecords)
			}
		}
	case "/v1/metrics":
		var got colmetrics.ExportMetricsServiceRequest
		err = proto.Unmarshal(text, &got)
		for _, of := range got.ResourceMetrics {
			for _, scope := range of.ScopeMetrics {
				for _, m := range scope.Metrics {
					n += len(m.GetSum().GetDataPoints()) + len(m.GetGauge().GetDataPoints())
				}
			}
		}
	}
	if err != nil {
		t.Error(err)
	}
	return n
}

// forget has it weigh what comes from now on.
func (w *weigher) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.items, w.plain, w.packed = 0, 0, 0
}

// each is what one of a number of things takes, in bytes: as protobuf, and packed with gzip.
func (w *weigher) each(number int) (items float64, plain, packed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return float64(w.items) / float64(number), w.plain / number, w.packed / number
}

func newTunnel(t *testing.T, own string) (*tunnel.Tunnel, *netstack.Net, key.Private) {
	t.Helper()
	dev, stack, err := netstack.New([]netip.Addr{netip.MustParseAddr(own)}, 1420)
	if err != nil {
		t.Fatal(err)
	}
	tun, err := tunnel.New(dev, udp.New(udp.Options{}), tunnel.Options{RecorderBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tun.Close)
	return tun, stack, key.GeneratePrivate()
}

func options(w *weigher, name string) telemetry.Options {
	return telemetry.Options{Config: config.Telemetry{Endpoint: w.URL, Sample: "100%"},
		Node: telemetry.Node{Interface: "wg0", PublicKey: key.Public{name[0]}, Version: "1.2.3"}}
}

// spansOfFlow is how many a connection has on each of the two hosts, at least.
const spansOfFlow = 4

// weighFlows has connections pass between two nodes that trace all of them.
func weighFlows(t *testing.T, flows int) (client, server *weigher) {
	a, b, from, to := twoTunnels(t)
	client, server = newWeigher(t), newWeigher(t)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var senders []*telemetry.Sender
	for w, tun := range map[*weigher]*tunnel.Tunnel{client: a, server: b} {
		s, err := telemetry.Open(ctx, options(w, "wg0"))
		if err != nil {
			t.Fatal(err)
		}
		senders = append(senders, s)
		all.Go(func() {
			if err := s.Trace(ctx, tun); err != nil {
				t.Error(err)
			}
		})
	}
	serve(t, to)
	sent := func(s *telemetry.Sender) uint64 {
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		return s.Counts().Sent
	}
	for _, s := range senders { // who traces has begun once a flow is traced
		patience.See(t, "a flow traced", func() (string, bool) { connect(t, from); return fmt.Sprintf("%+v", s.Flows()), sent(s) > 0 })
	}
	before := map[*telemetry.Sender]uint64{senders[0]: sent(senders[0]), senders[1]: sent(senders[1])}
	client.forget()
	server.forget()
	for range flows {
		connect(t, from)
	}
	for s, n := range before {
		patience.See(t, "all flows traced", func() (string, bool) {
			return fmt.Sprintf("%+v", s.Flows()), sent(s) >= n+uint64(spansOfFlow*flows)
		})
	}
	stop()
	all.Wait()
	for _, s := range senders {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	return client, server
}

// twoTunnels are peers of each other, with the stacks inside of them.
func twoTunnels(t *testing.T) (a, b *tunnel.Tunnel, inA, inB *netstack.Net) {
	a, inA, keyA := newTunnel(t, "10.0.0.1")
	b, inB, keyB := newTunnel(t, "10.0.0.2")
	up := func(tun *tunnel.Tunnel, own key.Private, name string, public key.Public, at string, endpoint netip.AddrPort) {
		c := tunnel.Config{PrivateKey: own, Peers: []tunnel.PeerConfig{{Name: name, PublicKey: public, Endpoint: endpoint,
			AllowedIPs: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr(at), 32)}}}}
		if err := tun.Configure(c); err != nil {
			t.Fatal(err)
		}
		if err := tun.Up(); err != nil {
			t.Fatal(err)
		}
	}
	up(b, keyB, "laptop-of-alice", keyA.Public(), "10.0.0.1", netip.AddrPort{})
	up(a, keyA, "hub-frankfurt", keyB.Public(), "10.0.0.2", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), b.ListenPort()))
	return a, b, inA, inB
}

// serve has connections to port 80 accepted, and closed.
func serve(t *testing.T, to *netstack.Net) {
	l, err := to.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
}

// connect makes a connection.
func connect(t *testing.T, from *netstack.Net) {
	c, err := from.DialContext(patience.Context(t), "tcp", "10.0.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

// weighLogs has peers fail and come back.
func weighLogs(t *testing.T, changes int) *weigher {
	w := newWeigher(t)
	l, err := eventlog.Open(t.Context(), options(w, "wg0"))
	if err != nil {
		t.Fatal(err)
	}
	before := timeline.Line{What: timeline.Changed, State: diagnose.StateUp, Code: diagnose.Healthy}
	for n := range changes {
		l.State(&timeline.Line{At: time.Now(), What: timeline.Changed, Peer: key.GeneratePrivate().Public(), Name: fmt.Sprintf("laptop-%d", n),
			State: diagnose.StateFailing, Code: diagnose.NoResponse, Checkpoint: "A3", Certain: true,
			Summary: fmt.Sprintf("laptop-%d does not answer: nothing came from 192.0.2.%d:51820 for 90 s", n, n%250)}, &before)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

// weighMetrics sends the metrics of a node with so many peers once.
func weighMetrics(t *testing.T, peers int) *weigher {
	tun, _, private := newTunnel(t, "10.0.0.1")
	c := tunnel.Config{PrivateKey: private}
	kept := metrics.Kept{At: time.Now()}
	for i := range peers {
		public := key.GeneratePrivate().Public()
		name := fmt.Sprintf("laptop-%d", i)
		c.Peers = append(c.Peers, tunnel.PeerConfig{Name: name, PublicKey: public, Endpoint: netip.MustParseAddrPort("192.0.2.1:51820"),
			AllowedIPs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 32)}})
		kept.Peers = append(kept.Peers, explain.KeptPeer{PeerReport: diagnose.PeerReport{Peer: public.Base64(), PeerName: name,
			State: diagnose.StateUp}})
	}
	if err := tun.Configure(c); err != nil {
		t.Fatal(err)
	}
	from, err := metrics.Gatherer(metrics.New("wg0", tun), metrics.NewVerdicts("wg0", func() metrics.Kept { return kept }), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWeigher(t)
	s, err := scrape.Open(t.Context(), options(w, "wg0"), from)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // which sends once
		t.Fatal(err)
	}
	return w
}

var sizeRow = regexp.MustCompile(`(?m)^\| ([^|]+?) \| ([0-9.]+) [a-z]+ \| ([0-9,]+) \| ([0-9,]+) \|$`)

// What docs/fleet-size.md calculates with is what is sent: with -v it says what that is now.
func TestSizes(t *testing.T) {
	text, err := os.ReadFile("../../docs/fleet-size.md")
	if err != nil {
		t.Fatal(err)
	}
	const flows, changes, peers = 200, 200, 100
	client, server := weighFlows(t, flows)
	said := make(map[string][]string)
	for _, m := range sizeRow.FindAllStringSubmatch(string(text), -1) {
		said[m[1]] = m[2:]
	}
	for _, c := range []struct {
		what   string
		w      *weigher
		number int
	}{
		{"a flow, where it begins", client, flows}, {"a flow, where it ends", server, flows},
		{"a change of a peer's state", weighLogs(t, changes), changes}, {"a peer's metrics, once", weighMetrics(t, peers), peers},
	} {
		items, plain, packed := c.w.each(c.number)
		t.Logf("%s: %.3f items, %d bytes, %d packed", c.what, items, plain, packed)
		row := said[c.what]
		if row == nil {
			t.Errorf("the page has no row %q", c.what)
			continue
		}
		for i, got := range []float64{items, float64(plain), float64(packed)} {
			want, err := strconv.ParseFloat(regexp.MustCompile(",").ReplaceAllString(row[i], ""), 64)
			if err != nil || got < want*0.8 || got > want*1.25 {
				t.Errorf("%s: %.1f, and the page says %s", c.what, got, row[i])
			}
		}
	}
}
