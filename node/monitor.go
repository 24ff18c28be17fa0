package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/net/netutil"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/internal/metrics"
	"github.com/wgnode/wgnode/node/port"
	"github.com/wgnode/wgnode/node/unixsocket"
)

const (
	answerTime = 30 * time.Second // for a client to take an answer
	idleTime   = 2 * time.Minute  // between two scrapes of one connection
	scrapes    = 4                // that are worked at, at a time

	// maxMonitored is how many clients are connected at a time, whoever they are on
	// this host; further ones wait.
	maxMonitored     = 64
	maxMonitorHeader = 16 << 10 // bytes
)

// monitor is the listener of health and metrics. A nil monitor is none.
type monitor struct {
	net.Listener
	at config.Listen
}

// monitorAt is where health and metrics are served with cfg.
func (n *Node) monitorAt(cfg *config.Config) config.Listen {
	if !n.opt.Metrics.IsZero() {
		return n.opt.Metrics
	}
	return cfg.Metrics.Listen
}

// openMonitor begins to listen, nowhere if at is zero. Clients are answered once
// the task serves it.
func openMonitor(at config.Listen) (*monitor, error) {
	var l net.Listener
	var err error
	switch at.Network {
	case "":
		return nil, nil
	case "unix":
		l, err = unixsocket.Listen(at.Address)
	default:
		l, err = net.Listen(at.Network, at.Address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", port.ExplainListen(err, "tcp", at.Address))
	}
	return &monitor{l, at}, nil
}

func (m *monitor) address() config.Listen {
	if m == nil {
		return config.Listen{}
	}
	return m.at
}

func (m *monitor) close() error {
	if m == nil {
		return nil
	}
	return unixsocket.Close(m)
}

// monitorTask serves health and metrics: plain HTTP, for programs on this host.
// It goes on while the tasks that depend on the configuration begin anew, so that
// a reload which leaves it where it is refuses nobody.
//
//	GET /healthz   [Health]; 200 as long as the node serves
//	GET /readyz    [Readiness]; 200, or 503 with the causes
//	GET /metrics   for Prometheus, see package metrics
type monitorTask struct {
	n *Node
	m *monitor // to begin with
}

// monitorMove asks for another listener to be served, or none. The old one is
// closed before done is.
type monitorMove struct {
	to   *monitor
	done chan struct{}
}

// moveMonitor has another monitor served. If the node ends meanwhile, none is.
func (n *Node) moveMonitor(to *monitor) {
	move := monitorMove{to, make(chan struct{})}
	select {
	case n.moves <- move:
		<-move.done
	case <-n.unmoved:
	}
}

func (monitorTask) String() string { return "serve health and metrics" }

func (t monitorTask) Run(ctx context.Context) error {
	defer close(t.n.unmoved)
	for m := t.m; ; {
		round, stop := context.WithCancel(ctx)
		served := make(chan error, 1)
		go func() { served <- t.serve(round, m) }()
		select {
		case err := <-served:
			stop()
			return err // the end of ctx, if it is nil
		case move := <-t.n.moves:
			stop()
			err := <-served
			close(move.done)
			if err != nil {
				return err
			}
			m = move.to
		}
	}
}

// serve answers until ctx ends, and closes m.
func (t monitorTask) serve(ctx context.Context, m *monitor) error {
	if m == nil {
		<-ctx.Done()
		return nil
	}
	ready := &readiness{n: t.n}
	scrape, err := metrics.Handler(metrics.New(t.n.name, t.n.tun),
		metrics.NewVerdicts(t.n.name, ready.forScrape),
		[]prometheus.Collector{metrics.NewRestored(t.n.name, t.n.guarded.counts), collectors.NewGoCollector(),
			collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})}, scrapes)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", t.health)
	mux.Handle("GET /readyz", ready)
	mux.Handle("GET /metrics", scrape)
	return m.serve(ctx, mux, func(host string) bool {
		return slices.Contains(t.n.Config().Metrics.Hosts, host) || slices.Contains(t.n.opt.MetricsHosts, host)
	})
}

// serve has h answer until ctx ends, and closes m.
func (m *monitor) serve(ctx context.Context, h http.Handler, known func(host string) bool) error {
	return control.ServeHTTP(ctx, &http.Server{Handler: knownHosts(m.at, known, h), MaxHeaderBytes: maxMonitorHeader,
		ReadHeaderTimeout: control.RequestTime, ReadTimeout: control.RequestTime, WriteTimeout: answerTime, IdleTimeout: idleTime},
		netutil.LimitListener(m, maxMonitored))
}

// knownHosts has h answer requests that are for this host by its name, or by one that is
// known. A page in a browser of this host can have the browser ask for the page's own name,
// which leads to loopback, and read the answer (DNS rebinding). Nothing leads a browser to a
// Unix socket.
func knownHosts(at config.Listen, known func(host string) bool, h http.Handler) http.Handler {
	if at.Network == "unix" {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := hostOf(r.Host); host != "" && !IsLoopbackHost(r.Host) && !known(host) {
			control.Refuse(w, http.StatusMisdirectedRequest, errOtherHost)
			return
		}
		h.ServeHTTP(w, r)
	})
}

var errOtherHost = errors.New("the request names another host; to answer to that name, add it to hosts under [metrics], " +
	"or use --metrics-host")

// hostOf is the name in a Host header, without a port, "" if there is none.
func hostOf(header string) string {
	host, _, err := net.SplitHostPort(header)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(header, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// IsLoopbackHost reports whether a Host header can mean only this host itself.
func IsLoopbackHost(header string) bool {
	host := hostOf(header)
	a, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && a.Unmap().IsLoopback()
}

// Health is the answer to GET /healthz.
type Health struct {
	Status    string `json:"status"` // "ok"
	Interface string `json:"interface"`
	PID       int    `json:"pid"`
	Netstack  bool   `json:"netstack,omitempty"`
}

func (t monitorTask) health(w http.ResponseWriter, _ *http.Request) {
	control.Answer(w, http.StatusOK, Health{Status: "ok", Interface: t.n.name, PID: os.Getpid(), Netstack: t.n.net != nil})
}
