package node

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/node/internal/proxy"
	"github.com/wgnode/wgnode/probe"
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

func (s looked) Addresses() []netip.Addr { return s.n.mode.addresses(s.n.Config()) }

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
	is := n.mode.traits()
	s := control.Status{Interface: n.name, Config: n.Config().Path, PID: os.Getpid(), Netstack: is.netstack, Elsewhere: is.elsewhere,
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
	if cfg.Path != "" {
		s.Load = cfg.Reread
	}
	n.mode.subject(n, &s)
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
	return exporter.Node{Name: n.name, Netstack: n.mode.traits().netstack, Tunnel: n.tun, Keeper: n.keeper, Endpoint: n.Endpoint,
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

// connectTime is how long an attempt to connect may take.
const connectTime = 30 * time.Second

// connectHandler serves POST /v1/connect: after 101 the connection to the socket
// is one to the address, each of its two directions with an end of its own.
type connectHandler struct {
	n       *Node
	streams *sync.WaitGroup // those that are open
}

func (h connectHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.streams.Add(1)
	defer h.streams.Done()
	var req control.ConnectRequest
	if err := control.Decode(w, r, &req); err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	inside, err := h.n.mode.inside()
	if err != nil {
		control.Refuse(w, http.StatusConflict, fmt.Errorf("the tunnel ends in the network interface %s: connect to %s as to any "+
			"other host", h.n.name, req.Address))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), connectTime)
	far, err := inside.DialContext(ctx, "tcp", req.Address)
	cancel()
	if err != nil {
		control.Refuse(w, http.StatusBadGateway, err)
		return
	}
	defer far.Close() // for the paths that do not get to the relay
	near, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		control.Refuse(w, http.StatusInternalServerError, err)
		return
	}
	defer near.Close() // as above
	err = near.SetDeadline(time.Time{})
	if err == nil {
		_, err = fmt.Fprintf(near, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", control.StreamProtocol)
	}
	if err == nil {
		_, err = io.CopyN(far, rw, int64(rw.Reader.Buffered())) // sent in haste
	}
	if err == nil {
		err = proxy.Relay(r.Context(), near, far)
	}
	if err != nil {
		h.n.opt.Logger.Debug("stream broke", "interface", h.n.name, "to", req.Address, "error", err)
	}
}
