package exporter

import (
	"context"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/internal/metrics"
	"github.com/wgnode/wgnode/probe/key"
)

// Node is the node whose health and metrics are served.
type Node struct {
	Name     string
	Netstack bool // it has no interface
	Tunnel   explain.Tunnel
	Keeper   *explain.Keeper // of its verdicts
	// Endpoint is a peer's as the configuration has it, "" for none, and why its name does not resolve.
	Endpoint func(key.Public) (written string, err error)
	// Restored counts how often tables of the firewall were put back, by the names of the changes.
	Restored func() map[string]uint64
	// Telemetry counts what was sent by OTLP; nil, or nil from it: nothing is.
	Telemetry func() *metrics.TelemetryCounts
	// Known reports whether it may be asked under the name of a host, beside those of loopback.
	Known func(host string) bool
}

// Server serves health and metrics of one node by HTTP, to programs on this host, or to whom its place
// names.
// Where it listens can change while it runs; where that stays, nobody is refused meanwhile.
//
//	GET /healthz   [Health]; 200 as long as the node serves
//	GET /readyz    [Readiness]; 200, or 503 with the causes
//	GET /metrics   for Prometheus, see package metrics
type Server struct {
	node  Node
	l     *Listener // that it has now; whoever moves it, one at a time, changes it
	moves chan move
	ended chan struct{} // closed when Run has ended
}

// move asks for another listener to be served, or none. The old one is closed before done is.
type move struct {
	to   *Listener
	done chan struct{}
}

// Open begins to listen, nowhere if at is zero. Clients are answered by [Server.Run].
func Open(at Place, n Node) (*Server, error) {
	l, err := Listen(at)
	if err != nil {
		return nil, err
	}
	return &Server{node: n, l: l, moves: make(chan move), ended: make(chan struct{})}, nil
}

// At is where it listens; zero for nowhere.
func (s *Server) At() config.Listen { return s.l.At() }

// Change has a place count from now on that s listens at already, but for who may ask. The error comes
// before anything has changed; the change is made by done, in case that other things were to fail first.
func (s *Server) Change(to Place) (done func(), err error) {
	web, err := to.read()
	if err != nil || s.l == nil {
		return func() {}, err
	}
	return func() { s.l.gate.Replace(web) }, nil
}

// Move has another listener served, or none if it is nil. Where Run has ended, or ends meanwhile, none is.
func (s *Server) Move(to *Listener) {
	s.l = to
	m := move{to, make(chan struct{})}
	select {
	case s.moves <- m:
		<-m.done
	case <-s.ended:
	}
}

// Close ends to listen. Run must have ended, or never have begun.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	return s.l.Close()
}

func (*Server) String() string { return "serve health and metrics" }

// Run answers until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	defer close(s.ended)
	for l := s.l; ; {
		round, stop := context.WithCancel(ctx)
		served := make(chan error, 1)
		go func() { served <- s.serve(round, l) }()
		select {
		case err := <-served:
			stop()
			return err // the end of ctx, if it is nil
		case m := <-s.moves:
			stop()
			err := <-served
			close(m.done)
			if err != nil {
				return err
			}
			l = m.to
		}
	}
}

// serve answers until ctx ends, and closes l.
func (s *Server) serve(ctx context.Context, l *Listener) error {
	if l == nil {
		<-ctx.Done()
		return nil
	}
	all, err := s.Gatherer()
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.Handle("GET /readyz", &readiness{of: &s.node})
	mux.Handle("GET /metrics", promhttp.HandlerFor(all, promhttp.HandlerOpts{MaxRequestsInFlight: Scrapes}))
	return l.Serve(ctx, mux, s.node.Known)
}

// Gatherer has what GET /metrics answers.
func (s *Server) Gatherer() (prometheus.Gatherer, error) {
	verdicts := &readiness{of: &s.node}
	return metrics.Gatherer(metrics.New(s.node.Name, s.node.Tunnel), metrics.NewVerdicts(s.node.Name, verdicts.forScrape),
		[]prometheus.Collector{metrics.NewRestored(s.node.Name, s.node.Restored),
			metrics.NewTelemetry(s.node.Name, s.node.Telemetry), collectors.NewGoCollector(),
			collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})})
}

// Health is the answer to GET /healthz.
type Health struct {
	Status    string `json:"status"` // "ok"
	Interface string `json:"interface"`
	PID       int    `json:"pid"`
	Netstack  bool   `json:"netstack,omitempty"`
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	control.Answer(w, http.StatusOK, Health{Status: "ok", Interface: s.node.Name, PID: os.Getpid(), Netstack: s.node.Netstack})
}
