package exporter

import (
	"context"
	"net/http"
	"sync"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/internal/metrics"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// Readiness is the answer to GET /readyz: whether every peer that should be
// reachable is, and why not. It holds no secrets.
type Readiness struct {
	Status    string               `json:"status"` // "ready" or "not-ready"
	Interface string               `json:"interface"`
	Causes    diagnose.List[Cause] `json:"causes"`
	More      int                  `json:"more,omitempty"` // causes that are not listed
}

// Cause is a peer that keeps a node from being ready, with its verdict.
type Cause struct {
	Peer       string         `json:"peer"` // public key in base64
	PeerName   string         `json:"peer_name,omitempty"`
	State      diagnose.State `json:"state"`
	Code       diagnose.Code  `json:"code"`
	Class      diagnose.Class `json:"class"`
	Checkpoint string         `json:"checkpoint"`
	Certain    bool           `json:"certain"`
	Summary    string         `json:"summary"`
}

// The values of a Readiness's Status.
const (
	statusReady    = "ready"
	statusNotReady = "not-ready"
)

// maxCauses bounds an answer: who has more wants to know how many.
const maxCauses = 100

// readiness answers GET /readyz, and has the verdicts for the metrics: those that the node keeps.
type readiness struct {
	of *Node

	mu   sync.Mutex
	last *checkup // guarded by mu: what comes of what was kept last
}

// checkup is what a doctor says of the peers of the configuration, and what
// comes of it. Nobody may change it.
type checkup struct {
	ready Readiness
	kept  *explain.Kept
}

func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	now, err := r.now(req.Context())
	switch {
	case err != nil:
		control.Refuse(w, http.StatusInternalServerError, err)
	case now.ready.Status == statusReady:
		control.Answer(w, http.StatusOK, now.ready)
	default:
		control.Answer(w, http.StatusServiceUnavailable, now.ready)
	}
}

func (r *readiness) now(ctx context.Context) (*checkup, error) {
	kept, err := r.of.Keeper.Now(ctx)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last != nil && r.last.kept == kept {
		return r.last, nil
	}
	now, err := r.of.checkUp(kept)
	if err != nil {
		return nil, err
	}
	r.last = now
	return now, nil
}

// forScrape are the verdicts that are known, at once: a doctor takes longer than who scrapes
// may wait. Others are found out for the next scrape.
func (r *readiness) forScrape() metrics.Kept {
	kept := r.of.Keeper.Kept(0)
	if kept == nil {
		return metrics.Kept{}
	}
	return metrics.Kept{Peers: kept.Peers, At: kept.At}
}

// checkUp asks what a doctor has said, who provokes nothing.
func (n *Node) checkUp(kept *explain.Kept) (*checkup, error) {
	st, err := n.Tunnel.Status()
	if err != nil {
		return nil, err
	}
	configured := make(map[string]*uapi.PeerStatus, len(st.Peers))
	for i := range st.Peers {
		configured[st.Peers[i].PublicKey.Base64()] = &st.Peers[i]
	}
	c := &checkup{ready: Readiness{Status: statusReady, Interface: n.Name}, kept: kept}
	now := &c.ready
	for i := range kept.Peers {
		p := &kept.Peers[i].PeerReport
		conf := configured[p.Peer] // nil: removed meanwhile
		if conf == nil {
			continue
		}
		written, _ := n.Endpoint(conf.PublicKey) // why it does not resolve is the verdict's matter
		if !missing(p, conf, written != "") {
			continue
		}
		now.Status = statusNotReady
		if len(now.Causes) == maxCauses {
			now.More++
			continue
		}
		v := &p.Verdict
		now.Causes = append(now.Causes, Cause{Peer: p.Peer, PeerName: p.PeerName, State: p.State, Code: v.Code, Class: v.Class(),
			Checkpoint: v.Checkpoint.String(), Certain: v.Certain, Summary: v.Summary})
	}
	return c, nil
}

// missing reports whether a peer should be reachable and is not. One that is to
// be kept alive at an endpoint must be up. Another that the configuration has an
// endpoint for, or that had a session, may be idle, but must not fail. Who calls
// for the first time, and fails, keeps nobody from serving others.
func missing(p *diagnose.PeerReport, conf *uapi.PeerStatus, written bool) bool {
	if conf.PersistentKeepalive > 0 && (written || conf.Endpoint.IsValid()) {
		return p.State != diagnose.StateUp && p.State != diagnose.StateDegraded
	}
	return p.State == diagnose.StateFailing && (written || !conf.LastHandshake.IsZero())
}
