package node

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/node/internal/device"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/sender"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/finding"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
)

// controlTask serves the control socket: what package control serves of every WireGuard, and
//
//	POST /v1/reload   ReloadRequest, ReloadAnswer
//	POST /v1/end      {}, {}: the node ends, and leaves its hooks to the caller
//	POST /v1/connect  ConnectRequest; then a stream
type controlTask struct{ n *Node }

func (controlTask) String() string { return "serve control socket" }

func (t controlTask) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	control.Handle(mux, looked(t), t.n.opt.Logger)
	mux.HandleFunc("POST /v1/reload", t.reload)
	mux.HandleFunc("POST /v1/end", t.end)
	var streams sync.WaitGroup
	defer streams.Wait()
	mux.Handle("POST /v1/connect", connectHandler{t.n, &streams})
	return control.Serve(ctx, mux, t.n.control)
}

// looked is the node as package control serves it.
type looked struct{ n *Node }

var _ control.Served = looked{}

func (s looked) Subject() explain.Subject { return s.n.Subject() }

func (s looked) Keeper() *explain.Keeper { return s.n.keeper }

func (s looked) Status() (*control.Status, error) {
	status := s.n.Status()
	return &status, nil
}

func (s looked) Peer(id probe.PeerID) (k key.Public, name string, ok bool) { return s.n.tun.Peer(id) }

func (s looked) Addresses() []netip.Addr { return s.n.ownAddrs() }

// Settle: as Unseen.
func (looked) Settle(context.Context) {}

// Unseen: the device's seams write into the flight recorder itself.
func (looked) Unseen() uint64 { return 0 }

func (s looked) Tap(snaplen int) control.Tap { return s.n.tun.Tap(snaplen) }

// Keys are those of sessions: without them the long-term keys decrypt nothing, and would be
// given away for nothing.
func (s looked) Keys() (control.Keys, error) {
	if !tunnel.KeepsSessionKeys() {
		return nil, control.ErrNoSessionKeys
	}
	return s.n.tun, nil
}

// Status is the present state of the node. It holds no secrets.
func (n *Node) Status() control.Status {
	s := control.Status{Interface: n.name, Config: n.Config().Path, PID: os.Getpid(), Netstack: n.net != nil, Elsewhere: n.link != nil,
		Level: n.tun.Level(), PublicKey: n.tun.PublicKey(), ListenPort: n.tun.ListenPort(), Counters: n.tun.Counters(),
		Peers: []control.PeerStatus{}}
	for _, p := range n.tun.Peers() {
		if !p.Configured && len(p.Drops) == 0 {
			continue
		}
		ps := control.PeerStatus{PublicKey: p.Key, Name: p.Name, Configured: p.Configured, Endpoint: p.Endpoint,
			Handshake: p.Established, Waiting: p.Waiting, Drops: make(map[string]uint64)}
		for reason, count := range p.Drops {
			ps.Drops[reason.String()] = count
		}
		written, err := n.Endpoint(p.Key)
		if ps.Written = written; err != nil {
			ps.Resolve = err.Error()
		}
		if p.ClientSet.IsValid() && p.ClientSet != n.endpoints.Load().Of(p.Key) {
			ps.Set = p.ClientSet
		}
		s.Peers = append(s.Peers, ps)
	}
	return s
}

func (t controlTask) reload(w http.ResponseWriter, r *http.Request) {
	var req control.ReloadRequest
	if err := control.Decode(w, r, &req); err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	var lines strings.Builder
	ans := control.ReloadAnswer{}
	// A client that hangs up does not stop it half-way.
	changed, err := t.n.reloadFile(context.WithoutCancel(r.Context()), req.Config, &lines, req.Check)
	if ans.Changed = &changed; err != nil {
		ans.Error = err.Error()
	}
	ans.Output = lines.String()
	control.Answer(w, http.StatusOK, ans)
}

func (t controlTask) end(w http.ResponseWriter, _ *http.Request) {
	control.Answer(w, http.StatusOK, struct{}{})
	t.n.release()
}

// Subject is the node as package explain looks at it.
func (n *Node) Subject() explain.Subject {
	cfg := n.Config()
	s := explain.Subject{Interface: n.name, Config: cfg.Path, File: cfg, Tunnel: n.tun, Prober: explain.Host{}, Kernel: true,
		Endpoint: n.Endpoint, Addresses: n.addressesOf}
	if cfg.Path != "" && !n.bare {
		s.Load = cfg.Reread
	}
	if n.opt.onHost() && !n.bare {
		s.Changed = func(ctx context.Context) ([]finding.Changed, error) {
			return n.applied.Changed(ctx, n.runner.Kernel, n.guard.Culprit)
		}
	}
	if n.opt.Sender != nil && n.net == nil && n.link == nil {
		s.As = func(pid int) (explain.Prober, error) {
			p, err := sender.Of(pid)
			if err != nil {
				return nil, err
			}
			return explain.As{Process: p, Command: n.opt.Sender}, nil
		}
	}
	switch {
	case n.net != nil:
		s.MTU = cmp.Or(cfg.Interface.MTU, device.DefaultMTU)
		s.Prober, s.Kernel, s.Local = explain.Stack{Net: n.net}, false, n.hasAddress
		s.Router = &diagnose.Router{Allow: n.services.Routes()}
	case n.link != nil:
		s.MTU = n.link.MTU
		s.Prober, s.Kernel, s.Local = n.link.Prober, false, n.hasAddress
	default:
		if l, err := link.ByName(n.name); err == nil { // else it is about to end
			s.MTU = l.MTU
		}
	}
	return s
}

// metricsAt is where health and metrics are served with cfg, and to whom.
func (n *Node) metricsAt(cfg *config.Config) exporter.Place {
	p := exporter.Place{Listen: n.opt.Metrics, WebConfig: cmp.Or(n.opt.MetricsWebConfig, cfg.Metrics.WebConfig)}
	if p.IsZero() {
		p.Listen = cfg.Metrics.Listen
	}
	return p
}

// exported is the node as package exporter shows it.
func (n *Node) exported() exporter.Node {
	return exporter.Node{Name: n.name, Netstack: n.net != nil, Tunnel: n.tun, Keeper: n.keeper, Endpoint: n.Endpoint,
		Restored: n.guard.Counts, Telemetry: n.telemetryCounts, Known: func(host string) bool {
			return slices.Contains(n.Config().Metrics.Hosts, host) || slices.Contains(n.opt.MetricsHosts, host)
		}}
}

// hasAddress reports whether a is one of the node's own addresses.
func (n *Node) hasAddress(a netip.Addr) bool {
	for _, p := range n.Config().Interface.Addresses {
		if p.Addr() == a {
			return true
		}
	}
	return false
}
