package exporter

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/wgnode/wgnode/node/droplist"
	"github.com/wgnode/wgnode/node/internal/metrics"
)

// Drops shows what the kernel drops of a tunnel's packets to Prometheus. It is no part
// of the node: whoever wants the metrics runs a list for them, and none is attached to the
// kernel when that ends. It implements [droplist.Taker].
type Drops struct {
	l    *Listener
	name string

	mu   sync.Mutex
	rows []droplist.Row // guarded by mu
	lost uint64         // guarded by mu
}

// OpenDrops begins to listen, for the tunnel of that name.
func OpenDrops(at Place, name string) (*Drops, error) {
	l, err := Listen(at)
	if err != nil {
		return nil, err
	}
	return &Drops{l: l, name: name}, nil
}

// Drop implements [droplist.Taker].
func (*Drops) Drop(*droplist.Row) error { return nil }

// Second implements [droplist.Taker].
func (d *Drops) Second(rows []*droplist.Row, lost uint64) error {
	all := make([]droplist.Row, len(rows))
	for i, r := range rows {
		all[i] = *r
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows, d.lost = all, lost
	return nil
}

func (d *Drops) latest() (rows []droplist.Row, lost uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rows, d.lost
}

// Serve answers GET /metrics until ctx ends, and ends to listen. hosts are names under which
// it may be asked besides those of loopback.
func (d *Drops) Serve(ctx context.Context, hosts []string) error {
	registry := prometheus.NewRegistry()
	if err := registry.Register(metrics.NewKernelDrops(d.name, d.latest)); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: Scrapes}))
	return d.l.Serve(ctx, mux, func(host string) bool { return slices.Contains(hosts, host) })
}
