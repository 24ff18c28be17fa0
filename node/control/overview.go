package control

import (
	"context"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/overview"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

const (
	// maxWait bounds how long who asks for an overview is kept waiting for verdicts.
	maxWait = 10 * time.Second
	// rateTime is over how long rates are taken, at least where there is time: of who asks often
	// that is since an earlier time that somebody has asked, up to rateMost ago.
	rateTime = time.Second
	rateMost = time.Minute
	// rateShort is for who asks once, and waits, of so many peers at most: more take long to read
	// twice.
	rateShort  = 250 * time.Millisecond
	rateOfMost = 1000
)

// Overview asks for what there is to see at a glance.
func (c *Client) Overview(ctx context.Context, req overview.Request) (*overview.Tunnel, error) {
	what := "overview"
	if q := req.Query().Encode(); q != "" {
		what += "?" + q
	}
	return call[overview.Tunnel](ctx, c, http.MethodGet, what, nil)
}

func (s server) overview(w http.ResponseWriter, r *http.Request) {
	req, err := overview.ParseRequest(r.URL.Query())
	if err != nil {
		Refuse(w, http.StatusBadRequest, err)
		return
	}
	t, err := s.glance(r.Context(), &req)
	if err != nil {
		Refuse(w, http.StatusInternalServerError, err)
		return
	}
	Answer(w, http.StatusOK, t)
}

// glance looks at the tunnel as a request says.
func (s server) glance(ctx context.Context, req *overview.Request) (*overview.Tunnel, error) {
	subject := s.Subject()
	begun := time.Now()
	said, err := subject.Tunnel.Status()
	if err != nil {
		return nil, err
	}
	rates := s.samples.since(said, begun)
	wait := min(req.Wait, maxWait)
	kept := s.Keeper().Kept(wait)
	if left := rateShort - time.Since(begun); rates == nil && wait >= rateShort && len(said.Peers) <= rateOfMost {
		if err := pause(ctx, left); err != nil {
			return nil, err
		}
		if said, err = subject.Tunnel.Status(); err != nil {
			return nil, err
		}
		rates = s.samples.since(said, time.Now())
	}
	t := s.tunnelOf(&subject, said)
	if kept != nil {
		t.VerdictsAt = kept.At
	}
	t.Select(peersOf(subject.Tunnel.Peers(), said, kept, rates), req)
	return t, nil
}

// pause returns after a time, or when ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tunnelOf is what there is to say without peers.
func (s server) tunnelOf(subject *explain.Subject, said *uapi.Status) *overview.Tunnel {
	t := &overview.Tunnel{Interface: subject.Interface, Kind: overview.KindNode, State: overview.Running,
		Level: subject.Tunnel.Level(), PID: os.Getpid(), Config: subject.Config, Netstack: subject.Router != nil,
		PublicKey: said.PublicKey, ListenPort: said.ListenPort, Drops: byName(subject.Tunnel.PeerState(0).Drops)}
	if t.Level.Kernel() {
		t.Kind, t.PID = overview.KindKernel, 0
	}
	if l, ok := subject.Tunnel.(interface{ Less() error }); ok {
		if less := l.Less(); less != nil {
			t.Less = less.Error()
		}
	}
	return t
}

// peersOf joins what is known of each peer, by its key.
func peersOf(states []tunnel.PeerState, said *uapi.Status, kept *explain.Kept, rates *rates) []overview.Peer {
	now := time.Now()
	told := said.ByKey()
	peers := make([]overview.Peer, 0, len(told))
	for i := range states {
		ps := &states[i]
		conf := told[ps.Key]
		if !ps.Configured || conf == nil {
			continue
		}
		p := overview.Peer{PublicKey: ps.Key, Name: ps.Name, State: stateNow(ps, conf.LastHandshake, now),
			Handshake: conf.LastHandshake, Endpoint: ps.Endpoint, RxBytes: conf.RxBytes, TxBytes: conf.TxBytes,
			Rates: rates.of(conf), Drops: byName(ps.Drops), AllowedIPs: conf.AllowedIPs}
		if kept != nil {
			if judged := kept.ByKey[ps.Key]; judged != nil {
				judge(&p, judged)
			}
		}
		p.Idle = overview.Idle(p.State)
		peers = append(peers, p)
	}
	return peers
}

// judge has p tell what a doctor has said of it.
func judge(p *overview.Peer, judged *explain.KeptPeer) {
	p.State, p.Verdict = judged.State, overview.Judge(&judged.Verdict)
	p.Verdict.Since = judged.Since
	if rt := judged.RoundTrip; rt.Took > 0 {
		p.RTT = &overview.RTT{Took: rt.Took, Of: overview.OfHandshake, At: rt.At}
	}
}

// stateNow is the state of a peer that no doctor has looked at yet: that takes what has passed. Its latest
// handshake was completed at that time. One that we have only answered is not complete: the peer may not
// take the answer.
func stateNow(ps *tunnel.PeerState, completed, now time.Time) diagnose.State {
	h := diagnose.Handshake{Established: completed}
	answered := ps.Established.After(completed) && now.Sub(ps.Established) < diagnose.HandshakeLife
	switch {
	case h.Alive(now):
		return diagnose.StateUp
	case ps.InitiationPending, answered:
		return diagnose.StateHandshaking
	case !completed.IsZero():
		return diagnose.StateStale
	}
	return diagnose.StateNeverSeen
}

// byName is drops with the reasons' names, nil for none.
func byName[Reason interface {
	comparable
	String() string
}](drops map[Reason]uint64) map[string]uint64 {
	if len(drops) == 0 {
		return nil
	}
	names := make(map[string]uint64, len(drops))
	for reason, n := range drops {
		names[reason.String()] = n
	}
	return names
}

// samples remembers what was counted when somebody asked, so that rates cost nothing while
// nobody does.
type samples struct {
	mu            sync.Mutex
	last, earlier *sample // guarded by mu
}

// sample is what was counted of each peer at a time.
type sample struct {
	at    time.Time
	bytes map[key.Public][2]uint64 // received, and sent
}

// rates are what has passed since an earlier sample.
type rates struct {
	from *sample
	over time.Duration
}

// since remembers what is counted now, and returns what it is to be compared with, nil if there
// is nothing of late.
func (s *samples) since(said *uapi.Status, now time.Time) *rates {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || now.Sub(s.last.at) >= rateTime {
		bytes := make(map[key.Public][2]uint64, len(said.Peers))
		for i := range said.Peers {
			p := &said.Peers[i]
			bytes[p.PublicKey] = [2]uint64{p.RxBytes, p.TxBytes}
		}
		s.earlier, s.last = s.last, &sample{now, bytes}
	}
	for _, from := range []*sample{s.earlier, s.last} {
		if from == nil {
			continue
		}
		if over := now.Sub(from.at); over >= rateShort && over <= rateMost {
			return &rates{from, over}
		}
	}
	return nil
}

// of are those of one peer, nil if they are not known. One whose counters have begun anew was
// away meanwhile.
func (r *rates) of(p *uapi.PeerStatus) *overview.Rates {
	if r == nil {
		return nil
	}
	was, ok := r.from.bytes[p.PublicKey]
	if !ok || p.RxBytes < was[0] || p.TxBytes < was[1] {
		return nil
	}
	seconds := r.over.Seconds()
	return &overview.Rates{Rx: float64(p.RxBytes-was[0]) / seconds, Tx: float64(p.TxBytes-was[1]) / seconds, Over: r.over}
}
