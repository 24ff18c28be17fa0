package node

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/sender"
	"github.com/wgnode/wgnode/node/trace"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/filter"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
)

const (
	maxBody     = 1 << 20          // bytes of a request
	requestTime = 10 * time.Second // for a client to send one
	lastWords   = time.Second      // for clients to take the rest of their answers
)

// Status is what a node says of itself: the answer to GET /v1/status.
type Status struct {
	Interface  string          `json:"interface"`
	Config     string          `json:"config,omitempty"` // path, "" if it came from elsewhere
	PID        int             `json:"pid"`
	Netstack   bool            `json:"netstack,omitempty"`
	Elsewhere  bool            `json:"elsewhere,omitempty"` // the interface is not this host's
	PublicKey  key.Public      `json:"public_key"`
	ListenPort uint16          `json:"listen_port"`
	Counters   tunnel.Counters `json:"counters"`
	Peers      []PeerStatus    `json:"peers"`
}

// PeerStatus is one peer of a [Status], also one that was removed since the
// node started if anything of it was dropped.
type PeerStatus struct {
	PublicKey  key.Public        `json:"public_key"`
	Name       string            `json:"name,omitempty"`
	Configured bool              `json:"configured"`
	Endpoint   netip.AddrPort    `json:"endpoint,omitzero"` // where packets go now
	Written    string            `json:"written,omitempty"` // the endpoint in the configuration
	Set        netip.AddrPort    `json:"set,omitzero"`      // one that another program has set in its place
	Resolve    string            `json:"resolve,omitempty"` // why Written does not resolve
	Handshake  time.Time         `json:"handshake,omitzero"`
	Waiting    uint64            `json:"waiting,omitempty"` // packets inside the device
	Drops      map[string]uint64 `json:"drops,omitempty"`   // packets, by reason
}

// PeerName is one peer of the answer to GET /v1/peers.
type PeerName struct {
	PublicKey key.Public `json:"public_key"`
	Name      string     `json:"name,omitempty"`
}

// ReloadRequest asks a node to take over what a file says by now.
type ReloadRequest struct {
	Config string `json:"config,omitempty"` // path; "" for the file that the node was started with
}

// ReloadAnswer tells what became of it.
type ReloadAnswer struct {
	Output string `json:"output,omitempty"` // lines for people, as Start writes them
	Error  string `json:"error,omitempty"`  // why nothing was changed
}

// errorAnswer is the body of every answer that is not 200.
type errorAnswer struct {
	Error string `json:"error"`
}

// controlTask serves the control socket: HTTP, as [Client] speaks it.
//
//	GET  /v1/status   Status
//	GET  /v1/peers    []PeerName
//	GET  /v1/watch    see watch
//	GET  /v1/record   see record
//	POST /v1/reload   ReloadRequest, ReloadAnswer
//	POST /v1/end      {}, {}: the node ends, and leaves its hooks to the caller
//	POST /v1/connect  ConnectRequest; then a stream
//	POST /v1/explain  explain.Request, diagnose.Report
//	POST /v1/doctor   explain.DoctorRequest, diagnose.DoctorReport
//	POST /v1/trace    trace.Request, walk.Walk
type controlTask struct{ n *Node }

func (controlTask) String() string { return "serve control socket" }

func (t controlTask) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", t.status)
	mux.HandleFunc("GET /v1/peers", t.peers)
	mux.HandleFunc("GET /v1/watch", t.watch)
	mux.HandleFunc("GET /v1/record", t.record)
	mux.HandleFunc("POST /v1/reload", t.reload)
	mux.HandleFunc("POST /v1/end", t.end)
	mux.HandleFunc("POST /v1/explain", t.explain)
	mux.HandleFunc("POST /v1/doctor", t.doctor)
	mux.HandleFunc("POST /v1/trace", t.trace)
	var streams sync.WaitGroup
	defer streams.Wait()
	mux.Handle("POST /v1/connect", connectHandler{t.n, &streams})
	return serveHTTP(ctx, &http.Server{Handler: mux, ReadHeaderTimeout: requestTime}, t.n.control)
}

// answer writes v as JSON. A client that has gone is not an error of ours.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, err error) {
	answer(w, status, errorAnswer{err.Error()})
}

// decode reads the body of a request. A key that this node does not know is an
// error: the client, perhaps of a later release, would think it was heeded.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	return nil
}

func (t controlTask) status(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, t.n.Status())
}

// Status is the present state of the node. It holds no secrets.
func (n *Node) Status() Status {
	s := Status{Interface: n.name, Config: n.Config().Path, PID: os.Getpid(), Netstack: n.net != nil, Elsewhere: n.link != nil,
		PublicKey: n.tun.PublicKey(), ListenPort: n.tun.ListenPort(), Counters: n.tun.Counters(), Peers: []PeerStatus{}}
	for _, p := range n.tun.Peers() {
		if !p.Configured && len(p.Drops) == 0 {
			continue
		}
		ps := PeerStatus{PublicKey: p.Key, Name: p.Name, Configured: p.Configured, Endpoint: p.Endpoint,
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
	var req ReloadRequest
	if err := decode(w, r, &req); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	var lines strings.Builder
	ans := ReloadAnswer{}
	// A client that hangs up does not stop it half-way.
	if err := t.n.ReloadFile(context.WithoutCancel(r.Context()), req.Config, &lines); err != nil {
		ans.Error = err.Error()
	}
	ans.Output = lines.String()
	answer(w, http.StatusOK, ans)
}

func (t controlTask) end(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, struct{}{})
	t.n.release()
}

func (t controlTask) peers(w http.ResponseWriter, _ *http.Request) {
	names := []PeerName{}
	for _, p := range t.n.tun.Peers() {
		if p.Configured {
			names = append(names, PeerName{p.Key, p.Name})
		}
	}
	answer(w, http.StatusOK, names)
}

func (t controlTask) explain(w http.ResponseWriter, r *http.Request) {
	var req explain.Request
	if err := decode(w, r, &req); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	report, err := explain.Explain(r.Context(), t.n.Subject(), req)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	answer(w, http.StatusOK, report)
}

func (t controlTask) doctor(w http.ResponseWriter, r *http.Request) {
	var req explain.DoctorRequest
	if err := decode(w, r, &req); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	report, err := explain.Doctor(r.Context(), t.n.Subject(), req)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	answer(w, http.StatusOK, report)
}

func (t controlTask) trace(w http.ResponseWriter, r *http.Request) {
	var req trace.Request
	if err := decode(w, r, &req); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	found, err := trace.Run(r.Context(), t.n.Subject(), req)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	answer(w, http.StatusOK, found)
}

// Subject is the node as package explain looks at it.
func (n *Node) Subject() explain.Subject {
	cfg := n.Config()
	s := explain.Subject{Interface: n.name, Config: cfg.Path, File: cfg, Tunnel: n.tun, Prober: explain.Host{}, Kernel: true,
		Endpoint: n.Endpoint, Addresses: n.addressesOf}
	if cfg.Path != "" && !n.bare {
		s.Load = func() (*config.Config, error) { return config.Read(cfg.Path) }
	}
	if n.opt.onHost() && !n.bare {
		s.Changed = n.changed
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
		s.MTU = cmp.Or(cfg.Interface.MTU, defaultMTU)
		s.Prober, s.Kernel, s.Local = explain.Stack{Net: n.net}, false, n.hasAddress
		s.Router = &diagnose.Router{Allow: n.routesForPeers()}
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

// hasAddress reports whether a is one of the node's own addresses.
func (n *Node) hasAddress(a netip.Addr) bool {
	for _, p := range n.Config().Interface.Addresses {
		if p.Addr() == a {
			return true
		}
	}
	return false
}

// filterPeers are the peers as a filter can name them, also those that were
// removed: the past may be about them.
func (n *Node) filterPeers() []filter.Peer {
	var peers []filter.Peer
	for _, p := range n.tun.Peers() {
		peers = append(peers, filter.Peer{ID: p.ID, Key: p.Key, Name: p.Name})
	}
	return peers
}

// compile makes what a subscription matches by; nil for all.
func (n *Node) compile(words []string) (func(*probe.Event) bool, error) {
	if len(words) == 0 {
		return nil, nil
	}
	f, err := filter.Compile(words, filter.Among(n.filterPeers()))
	if err != nil {
		return nil, err
	}
	return f.Match, nil
}
