package endpoint

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
)

// lookEvery is how often the peers' handshakes are looked at.
const lookEvery = 5 * time.Second

// Tunnel is a tunnel, as far as its peers' endpoints are concerned: a
// [tunnel.Tunnel].
type Tunnel interface {
	StateOf(k key.Public) (tunnel.PeerState, bool)
	SetEndpoint(k key.Public, ep netip.AddrPort) error
	InitiateHandshake(k key.Public) error
	RenewSession(k key.Public) error
}

// Follower keeps peers reachable whose endpoint is written as a name.
//
// A name that does not resolve is tried again and again: even that there is no
// such name is not final, many a name appears later. One that does is looked
// up again when its peer's handshake is stale, for the peer may have moved.
// Every address of the name, IPv4 or IPv6, gets its turn, after two handshakes that were
// not answered, also while the name servers do not answer. A peer that is heard
// of is left alone, wherever it has moved to by itself. Every change of an
// endpoint is logged, and an event in the tunnel's flight recorder.
type Follower struct {
	set   *Set
	o     Options
	hurry chan struct{} // see Rush; of capacity 1
}

// Options are what a [Follower] needs to know.
type Options struct {
	Tunnel Tunnel
	Logger *slog.Logger
	// StaleAfter is the age of a handshake at which a peer that should be heard
	// of is not; 135 s if 0. A healthy peer makes a new handshake every 120 s,
	// and takes up to 15 s more to find that the old session is not answered.
	StaleAfter time.Duration
	// Reachable reports whether the host has a way to an address. Others are
	// tried last.
	Reachable func(netip.Addr) bool
}

// Follow returns a follower, which is yet to be run. A set has at most one.
func (s *Set) Follow(o Options) *Follower {
	if o.StaleAfter == 0 {
		o.StaleAfter = staleAfter
	}
	return &Follower{set: s, o: o, hurry: make(chan struct{}, 1)}
}

func (*Follower) String() string { return "follow endpoints" }

// Rush has all names that are in need of it looked up at once: the network has
// changed, so that what failed a moment ago may work now.
func (f *Follower) Rush() {
	select {
	case f.hurry <- struct{}{}:
	default: // somebody else has said so
	}
}

// Run serves until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	if !slices.ContainsFunc(f.set.order, (*endpoint).isName) {
		<-ctx.Done()
		return nil
	}
	wait := time.NewTimer(f.nextLook())
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.hurry:
			f.forgetDelays()
		case <-wait.C:
		}
		// A question that is still open when the network changes would only be
		// waited for in vain.
		rctx, cancel := context.WithCancel(ctx)
		done := make(chan time.Duration, 1)
		go func() { done <- f.round(rctx) }()
		select {
		case d := <-done:
			wait.Reset(d)
		case <-f.hurry:
			cancel()
			<-done
			f.forgetDelays()
			wait.Reset(0)
		}
		cancel()
	}
}

func (f *Follower) forgetDelays() {
	for _, e := range f.set.order {
		e.course.delay, e.course.next = 0, time.Time{}
	}
}

// round looks up the names that it is time for, does what the answers ask for,
// and returns the time until the next round.
func (f *Follower) round(ctx context.Context) time.Duration {
	now := time.Now()
	var due []*endpoint
	for _, e := range f.set.order {
		if e.isName() && f.isDue(e, now) {
			due = append(due, e)
		}
	}
	for e, answer := range f.set.ask(ctx, due) {
		if ctx.Err() != nil {
			break // not the name's fault
		}
		f.heed(e, answer)
	}
	return f.nextLook()
}

// nextLook is the time until the next round.
func (f *Follower) nextLook() time.Duration {
	look := min(lookEvery, f.o.StaleAfter/3)
	now := time.Now()
	for _, e := range f.set.order {
		if left := e.course.next.Sub(now); left > 0 {
			look = min(look, left)
		} else if e.isName() && !f.set.Of(e.key).IsValid() {
			look = min(look, firstRetry)
		}
	}
	return look
}

// isDue reports whether it is time to look an endpoint's name up.
func (f *Follower) isDue(e *endpoint, now time.Time) bool {
	if !f.set.Of(e.key).IsValid() {
		return !now.Before(e.course.next)
	}
	s, ok := f.o.Tunnel.StateOf(e.key)
	if ok && isStale(s, e.keepalive, f.o.StaleAfter, f.patience(e), now) {
		return !now.Before(e.course.next)
	}
	if c := &e.course; !s.Established.Before(c.asked) {
		if !c.set.IsZero() && !s.Established.Before(c.set) {
			f.logger(e).Info("endpoint answers", "address", s.Endpoint)
		}
		*c = course{}
	}
	return false
}

// heed does what an answer asks for.
func (f *Follower) heed(e *endpoint, a answer) {
	now, c, known := time.Now(), &e.course, f.set.Of(e.key)
	c.wait(now, known.IsValid())
	if a.err != nil {
		f.set.note(e, netip.AddrPort{}, a)
		f.logger(e).Debug("endpoint not resolved", "error", a.err)
		// What does not answer the handshakes may be why. The name's other addresses are
		// tried nevertheless.
		if a.addrs = f.set.Addresses(e.key); len(a.addrs) < 2 {
			return
		}
	}
	s, ok := f.o.Tunnel.StateOf(e.key)
	if !ok {
		f.set.note(e, first(a.addrs), a)
		return // somebody has removed the peer
	}
	if !known.IsValid() {
		f.found(e, s, a)
		return
	}
	silent := isTrying(s, now) && now.Sub(later(s.PendingSince, c.set)) >= f.patience(e)
	to := c.choose(f.prefer(a.addrs), s.Endpoint, silent)
	f.set.note(e, to, a)
	if to != s.Endpoint {
		why := "its name has another address"
		if silent && slices.Contains(a.addrs, s.Endpoint) {
			why = "it does not answer handshakes; the next address of its name is tried"
		}
		f.move(e, s, to, why)
	}
}

// found gives a peer the endpoint that has been looked for since the start,
// unless it has got one meanwhile: it has called, or somebody has set it.
func (f *Follower) found(e *endpoint, s tunnel.PeerState, a answer) {
	to := first(f.prefer(a.addrs))
	f.set.note(e, to, a)
	log := f.logger(e).With("address", to)
	if s.Endpoint.IsValid() {
		log.Info("endpoint resolved, but another is in use", "in_use", s.Endpoint)
		return
	}
	if err := f.o.Tunnel.SetEndpoint(e.key, to); err != nil {
		log.Error("endpoint resolved, but not set", "error", err)
		return
	}
	e.course = course{asked: e.course.asked, set: time.Now()}
	log.Info("endpoint resolved")
	// The device tries again only when it has something to send.
	if e.keepalive || s.Waiting > 0 {
		if err := f.o.Tunnel.RenewSession(e.key); err != nil {
			log.Error("no handshake with the resolved endpoint", "error", err)
		}
	}
}

// move gives a peer that is not heard of another endpoint.
func (f *Follower) move(e *endpoint, s tunnel.PeerState, to netip.AddrPort, why string) {
	log := f.logger(e).With("old", s.Endpoint, "new", to, "why", why)
	if err := f.o.Tunnel.SetEndpoint(e.key, to); err != nil {
		log.Error("endpoint not changed", "error", err)
		return
	}
	e.course.set = time.Now()
	log.Info("endpoint changed")
	handshake := f.o.Tunnel.InitiateHandshake
	if s.InitiationPending { // the last one went to the old address, perhaps just now
		handshake = f.o.Tunnel.RenewSession
	}
	if err := handshake(e.key); err != nil {
		log.Error("no handshake with the changed endpoint", "error", err)
	}
}

// patience is for how long an endpoint may leave handshakes unanswered.
func (f *Follower) patience(e *endpoint) time.Duration {
	if len(f.set.Addresses(e.key)) > 1 {
		return unansweredOfSeveral
	}
	return unanswered
}

// prefer puts addresses that the host has no way to behind the others.
func (f *Follower) prefer(addrs []netip.AddrPort) []netip.AddrPort {
	var with, without []netip.AddrPort
	for _, a := range addrs {
		if f.o.Reachable(a.Addr()) {
			with = append(with, a)
		} else {
			without = append(without, a)
		}
	}
	return append(with, without...)
}

func (f *Follower) logger(e *endpoint) *slog.Logger {
	return f.o.Logger.With("peer", e.peer, "name", e.written)
}
