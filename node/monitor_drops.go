package node

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/droplist"
	"github.com/wgnode/wgnode/node/internal/metrics"
)

// DropMonitor shows what the kernel drops of a tunnel's packets to Prometheus. It is no part
// of the node: whoever wants the metrics runs a list for them, and none is attached to the
// kernel when that ends. It implements [droplist.Taker].
type DropMonitor struct {
	m    *monitor
	name string

	mu   sync.Mutex
	rows []droplist.Row // guarded by mu
	lost uint64         // guarded by mu
}

// OpenDropMonitor begins to listen, for the tunnel of that name.
func OpenDropMonitor(at config.Listen, name string) (*DropMonitor, error) {
	m, err := openMonitor(at)
	if err != nil {
		return nil, err
	}
	return &DropMonitor{m: m, name: name}, nil
}

// Drop implements [droplist.Taker].
func (*DropMonitor) Drop(*droplist.Row) error { return nil }

// Second implements [droplist.Taker].
func (d *DropMonitor) Second(rows []*droplist.Row, lost uint64) error {
	all := make([]droplist.Row, len(rows))
	for i, r := range rows {
		all[i] = *r
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows, d.lost = all, lost
	return nil
}

func (d *DropMonitor) latest() (rows []droplist.Row, lost uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rows, d.lost
}

// Serve answers GET /metrics until ctx ends, and ends to listen. hosts are names under which
// it may be asked besides those of loopback.
func (d *DropMonitor) Serve(ctx context.Context, hosts []string) error {
	registry := prometheus.NewRegistry()
	if err := registry.Register(metrics.NewKernelDrops(d.name, d.latest)); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapes}))
	return d.m.serve(ctx, mux, func(host string) bool { return slices.Contains(hosts, host) })
}
