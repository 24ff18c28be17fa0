package node

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

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

// readiness answers GET /readyz, and has the verdicts for the metrics. A doctor is
// asked at most every freshTime, by one client for all, however many there are.
type readiness struct {
	n *Node

	turn    sync.Mutex // held while a doctor is asked
	last    atomic.Pointer[checkup]
	pending atomic.Bool // a check-up for the next scrape is under way
	tasks   sync.WaitGroup
}

// checkup is what a doctor says of the peers of the configuration, and what
// comes of it. Nobody may change it.
type checkup struct {
	ready Readiness
	peers []diagnose.PeerReport
	at    time.Time
	took  time.Duration
}

const (
	freshTime = time.Second
	// A scrape takes the verdicts that there are, up to this age, and has them found out
	// anew for the next one: a doctor takes longer than who scrapes may wait.
	keptTime = 5 * time.Minute
	// restTimes is how many times as long as a check-up for a scrape took none follows.
	restTimes = 9
)

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
	r.turn.Lock()
	defer r.turn.Unlock()
	if last := r.last.Load(); last.fresh(freshTime) {
		return last, nil
	}
	start := time.Now()
	now, err := r.n.checkUp(ctx)
	if err != nil {
		return nil, err
	}
	now.at = time.Now()
	now.took = now.at.Sub(start)
	r.last.Store(now)
	return now, nil
}

func (c *checkup) fresh(most time.Duration) bool { return c != nil && time.Since(c.at) < most }

// kept returns the verdicts that are known, at once, and unless they are fresh has them
// found out anew meanwhile. Nobody waits for that, and it ends with ctx.
func (r *readiness) kept(ctx context.Context) metrics.Kept {
	last := r.last.Load()
	if ctx.Err() == nil && (last == nil || !last.fresh(max(freshTime, restTimes*last.took))) && r.pending.CompareAndSwap(false, true) {
		r.tasks.Go(func() {
			defer r.pending.Store(false)
			_, _ = r.now(ctx) // the age of what is kept tells, and GET /readyz why
		})
	}
	if !last.fresh(keptTime) {
		return metrics.Kept{}
	}
	return metrics.Kept{Peers: last.peers, At: last.at}
}

// checkUp asks a doctor, who provokes nothing.
func (n *Node) checkUp(ctx context.Context) (*checkup, error) {
	report, err := explain.Doctor(ctx, n.Subject(), explain.DoctorRequest{VerdictsOnly: true})
	if err != nil {
		return nil, err
	}
	st, err := n.tun.Status()
	if err != nil {
		return nil, err
	}
	configured := make(map[string]*uapi.PeerStatus, len(st.Peers))
	for i := range st.Peers {
		configured[st.Peers[i].PublicKey.Base64()] = &st.Peers[i]
	}
	c := &checkup{ready: Readiness{Status: statusReady, Interface: n.name}}
	now := &c.ready
	for i := range report.Peers {
		p := &report.Peers[i]
		conf := configured[p.Peer] // nil: removed meanwhile
		if conf == nil {
			continue
		}
		c.peers = append(c.peers, *p)
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
