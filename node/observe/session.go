package observe

import (
	"context"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe/evidence"
)

// Policy makes something of observations and decides when there are enough. Its
// methods are called by [Session.Run], one at a time. They may call
// [Session.Start] to observe more or something else.
type Policy interface {
	// Add takes an observation into account.
	Add(*Observation)
	// Look says how far the policy is. It is called after each observation and
	// every so often: it may look at what no source delivers. ctx is that of Run.
	Look(ctx context.Context) State
}

// State is how far a policy is.
type State int

// The states.
const (
	Open     State = iota // an observation may change the result
	Settled               // what comes now adds details only
	Complete              // nothing more is to be expected, but what sources have yet to report
)

// Collect is a policy that never has enough: it calls the function with each
// observation until ctx ends.
type Collect func(*Observation)

// Add implements [Policy].
func (c Collect) Add(o *Observation) { c(o) }

// Look implements [Policy].
func (c Collect) Look(context.Context) State { return Open }

// Session hears sources on behalf of a policy. It is not safe for concurrent use.
type Session struct {
	// Lazy has the policy asked every look only, not after each observation as well:
	// for one that takes long to say how far it is.
	Lazy bool

	look, linger time.Duration
	heard        chan Observation
	hearings     []*hearing

	netfilter *tracing // nil until WatchKernel is called
	kernel    []Source // those registered
	sources   []Source // of them, those that observe
	limits    []string // what is not observed, beside what the sources say
	round     round
	evidence  *evidence.KernelEvidence // of the latest WatchKernel; nil before
}

// NewSession returns a session without sources. Its policy is asked how far it is
// after each observation, and every look if that is not 0; once it is settled the
// session goes on for linger. Close must be called in the end.
func NewSession(look, linger time.Duration) *Session {
	return &Session{look: look, linger: linger, heard: make(chan Observation)}
}

// Start starts a source, which belongs to the session from now on even if Start
// fails, and hears it until ctx ends. If the source is one of the session's already
// it goes on with another selection; what it has delivered that was not heard yet is
// lost then.
func (s *Session) Start(ctx context.Context, src Source, sel Selection) error {
	i := slices.IndexFunc(s.hearings, func(h *hearing) bool { return h.src == src })
	if i < 0 {
		i = len(s.hearings)
		s.hearings = append(s.hearings, &hearing{src: src})
	}
	h := s.hearings[i]
	h.end()
	h.held = nil
	if err := src.Start(ctx, sel); err != nil {
		return err
	}
	h.begin(ctx, s.heard)
	s.round.over() // what was to be delivered may be lost
	return nil
}

// Run hands what the sources observe to a policy until that has enough or ctx ends.
func (s *Session) Run(ctx context.Context, p Policy) {
	var tick <-chan time.Time
	if s.look > 0 {
		ticker := time.NewTicker(s.look)
		defer ticker.Stop()
		tick = ticker.C
	}
	defer s.count()
	var until time.Time // when to end; zero while the policy is open
	for {
		select {
		case <-ctx.Done():
			s.late(ctx, p)
			return
		case <-s.round.enough:
			s.round.waiting = 0
		case o := <-s.heard:
			if o.mark != 0 {
				s.round.reached(o.mark)
				break
			}
			s.hand(p, &o)
			if s.Lazy || o.Initiation != nil { // which anybody can send: the next look is soon enough
				continue
			}
		case <-tick:
		}
		s.count()
		switch p.Look(ctx) {
		case Complete:
			if s.synced() {
				return
			}
		case Open:
			until = time.Time{}
			s.round.over()
		case Settled:
			if until.IsZero() {
				until = time.Now().Add(s.linger)
			}
			if !time.Now().After(until) {
				s.round.over()
			} else if s.synced() {
				return
			}
		}
	}
}

// synced reports whether the sources have delivered all that had happened when a policy had
// enough, and asks them to.
func (s *Session) synced() bool {
	r := &s.round
	if r.begun {
		return r.waiting == 0
	}
	r.begun, r.waiting = true, 0
	r.mark++
	for _, h := range s.hearings {
		if src, ok := h.src.(Syncer); ok && h.stop != nil && src.Sync(r.mark) {
			r.waiting++
		}
	}
	if r.waiting == 0 {
		return true
	}
	r.enough = time.After(syncTime)
	return false
}

// syncTime bounds how long sources are waited for: in a flood they may never have read all.
const syncTime = 3 * time.Second

// round is one in which all sources report what has happened up to now.
type round struct {
	begun   bool
	mark    int64
	waiting int // sources that have not reported it
	enough  <-chan time.Time
}

// over ends a round: the next one starts from the beginning.
func (r *round) over() { r.begun, r.enough = false, nil }

func (r *round) reached(mark int64) {
	if r.begun && mark == r.mark {
		r.waiting--
	}
}

// Drain hands a policy what the sources have delivered and Run has not taken any
// more. The sources are not heard afterwards.
func (s *Session) Drain(p Policy) {
	for _, h := range s.hearings {
		for _, o := range h.rest() {
			s.hand(p, &o)
		}
	}
	s.count()
}

// hand hands an observation to a policy. What concerns the kernel as a whole is put down
// for it.
func (s *Session) hand(p Policy, o *Observation) {
	if o.Counters != nil {
		s.evidence.Counters = o.Counters
	}
	if o.Hooks != nil {
		s.evidence.Hooks = o.Hooks
	}
	if o.Unseen != "" {
		s.limits = append(s.limits, o.Unseen)
	}
	p.Add(o)
}

// Close ends all sources, the latest first.
func (s *Session) Close() {
	for _, h := range slices.Backward(s.hearings) {
		h.end()
		// What was observed stands. What a source fails to remove from the kernel goes
		// with its socket.
		_ = h.src.Close()
	}
	s.hearings = nil
}

// hearing hands on what a source delivers.
type hearing struct {
	src   Source
	stop  context.CancelFunc // nil while the source is not heard
	ended chan struct{}
	held  []Observation // taken from the source, but not handed on: when ended is closed
}

func (h *hearing) begin(ctx context.Context, to chan<- Observation) {
	ctx, h.stop = context.WithCancel(ctx)
	h.ended = make(chan struct{})
	go func() {
		defer close(h.ended)
		for {
			select {
			case <-ctx.Done():
				return
			case o, ok := <-h.src.Observations():
				if !ok {
					return
				}
				select {
				case to <- o:
				case <-ctx.Done():
					h.held = append(h.held, o)
					return
				}
			}
		}
	}()
}

// end waits until nothing is handed on any more.
func (h *hearing) end() {
	if h.stop == nil {
		return
	}
	h.stop()
	<-h.ended
	h.stop = nil
}

// rest ends the hearing, and returns what was delivered and not handed on.
func (h *hearing) rest() []Observation {
	h.end()
	all := h.held
	h.held = nil
	for {
		select {
		case o, ok := <-h.src.Observations():
			if !ok {
				return all
			}
			all = append(all, o)
		default:
			return all
		}
	}
}
