package node

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/internal/metrics"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/overview"
)

// What is asked of a hub takes time in proportion to its peers at most, or else it takes
// minutes at some number: eight times as many peers, by far less than 64 times the
// processor's time. An explanation is of one flow, however many peers there are.
func TestGrowth(t *testing.T) {
	const few, many = 600, 4800
	small, large := newHub(t, few), newHub(t, many)
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // less of another's garbage in what is measured
	for _, q := range []struct {
		name string
		most float64 // as many times the processor's time
		ask  func(h *hub) error
	}{
		{"doctor", 16, func(h *hub) error {
			r, err := explain.Doctor(h.t.Context(), h.Subject(), explain.DoctorRequest{})
			if err == nil && len(r.Peers) != h.peers {
				err = fmt.Errorf("it tells of %d peers", len(r.Peers))
			}
			return err
		}},
		{"scrape", 16, func(h *hub) error {
			h.scrape.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
			return nil
		}},
		{"overview", 16, func(h *hub) error {
			o, err := h.dial().Overview(h.t.Context(), overview.Request{Few: 20, Limit: 50, Wait: time.Minute})
			if err == nil && o.Total != h.peers {
				err = fmt.Errorf("it tells of %d peers", o.Total)
			}
			return err
		}},
		{"explain", 10, func(h *hub) error {
			r, err := explain.Explain(h.t.Context(), h.Subject(), explain.Request{Target: netip.MustParseAddrPort("10.0.0.1:80")})
			if err == nil && r.Verdict.Code != diagnose.NoEndpoint {
				err = fmt.Errorf("the verdict is %s", r.Verdict.Code)
			}
			return err
		}},
		{"reload", 16, func(h *hub) error {
			h.changed++
			return h.Reload(h.t.Context(), h.conf(), io.Discard)
		}},
	} {
		t.Run(q.name, func(t *testing.T) {
			base, more := small.cost(q.ask), large.cost(q.ask)
			t.Logf("%v with %d peers, %v with %d", base, few, more, many)
			if got := float64(more) / float64(max(base, time.Millisecond)); got > q.most {
				t.Errorf("%d times as many peers take %.1f times as long: %v, and %v", many/few, got, base, more)
			}
		})
	}
}

// BenchmarkExplain is an explanation on a node with one peer, and on one with many: what it takes
// longer there is what a user waits for who asks about one of them.
func BenchmarkExplain(b *testing.B) {
	for _, peers := range []int{1, 10_000} {
		h := newHub(b, peers)
		b.Run(fmt.Sprint(peers), func(b *testing.B) {
			before := processTime(b)
			for b.Loop() {
				req := explain.Request{Target: netip.MustParseAddrPort("10.0.0.1:80")}
				if r, err := explain.Explain(b.Context(), h.Subject(), req); err != nil || r.Verdict.Code != diagnose.NoEndpoint {
					b.Fatalf("%+v, %v", r, err)
				}
			}
			b.ReportMetric(float64((processTime(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// hub is a node with many peers that have never been heard of.
type hub struct {
	*stackNode
	own     key.Private
	peers   int
	changed int // times that the first peer's AllowedIPs have been changed
	scrape  http.Handler
}

func newHub(t testing.TB, peers int) *hub {
	t.Helper()
	h := &hub{own: key.GeneratePrivate(), peers: peers}
	h.stackNode = startStack(t, t.TempDir(), h.config(t))
	kept, err := h.keeper.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.scrape, err = metrics.Handler(metrics.New("hub", h.Tunnel()),
		metrics.NewVerdicts("hub", func() metrics.Kept { return metrics.Kept{Peers: kept.Peers, At: time.Now()} }), nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hub) conf() *config.Config { return h.config(h.t) }

func (h *hub) config(t testing.TB) *config.Config {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "[Interface]\nPrivateKey=%s\nAddress=10.255.0.1/32\n", h.own.Base64())
	for i := range h.peers {
		var k key.Public
		k[0], k[1], k[2] = byte(i), byte(i>>8), 9
		fmt.Fprintf(&b, "[Peer]\n# Name = peer %d\nPublicKey=%s\nAllowedIPs=10.0.%d.%d/32", i, k.Base64(), i>>8, i&255)
		if i == 0 {
			fmt.Fprintf(&b, ",10.0.0.1/32,10.254.0.%d/32", h.changed)
		}
		b.WriteByte('\n')
	}
	return parse(t, fmt.Sprintf("hub%d", h.peers), b.String())
}

// cost is the processor's time that a question takes, the least of several.
func (h *hub) cost(ask func(*hub) error) time.Duration {
	h.t.Helper()
	var all []time.Duration
	for range 3 {
		before := processTime(h.t)
		if err := ask(h); err != nil {
			h.t.Fatal(err)
		}
		all = append(all, processTime(h.t)-before)
	}
	return slices.Min(all)
}

// processTime is what this process has used of processors.
func processTime(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
