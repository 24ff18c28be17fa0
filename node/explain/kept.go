package explain

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/key"
)

// Kept is what a doctor has said of a tunnel's peers. Nobody may change it.
type Kept struct {
	At    time.Time // when he was asked
	Peers []KeptPeer
	ByKey map[key.Public]*KeptPeer // the same
	took  time.Duration
}

// KeptPeer is what he has said of one of them, without what it rests on, and what to do: of ten
// thousand peers that is much, and who wants it asks the doctor.
type KeptPeer struct {
	diagnose.PeerReport
	Key key.Public
	// RoundTrip is that of a handshake, zero if none is known.
	RoundTrip collect.RoundTrip
	// Since is when the verdict was found first: every time since then it was the same.
	Since time.Time
}

// Keeper keeps what a doctor says of a tunnel's peers for those who ask often, however many
// they are. He is asked only when somebody asks, by one for all, and provokes nothing.
type Keeper struct {
	subject func() Subject
	settle  func(context.Context) // waits until what has happened has come to the flight recorder

	turn sync.Mutex // held while the doctor is asked
	last atomic.Pointer[Kept]

	life  context.Context
	end   context.CancelFunc
	tasks sync.WaitGroup

	mu      sync.Mutex
	pending chan struct{} // guarded by mu: closed when he has been asked in the background; nil: he is not
}

const (
	// KeptFresh is how old what is kept may be that is taken for what is true now.
	KeptFresh = time.Second
	// KeptTime is how old it may be to be told at all.
	KeptTime = 5 * time.Minute
	// restTimes is how many times as long as it took nobody is asked in the background again.
	restTimes = 9
)

// NewKeeper returns the keeper of a tunnel. It begins with the first who asks. Close must be called
// before the tunnel is closed.
func NewKeeper(subject func() Subject, settle func(context.Context)) *Keeper {
	k := &Keeper{subject: subject, settle: settle}
	k.life, k.end = context.WithCancel(context.Background())
	return k
}

// Close ends what goes on in the background. What is kept can still be asked for.
func (k *Keeper) Close() {
	k.mu.Lock()
	k.end()
	k.mu.Unlock()
	k.tasks.Wait()
}

// Now returns what is true now, or was so for the last who asked, [KeptFresh] ago at most.
func (k *Keeper) Now(ctx context.Context) (*Kept, error) {
	k.turn.Lock()
	defer k.turn.Unlock()
	last := k.last.Load()
	if last.within(KeptFresh) {
		return last, nil
	}
	k.settle(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := k.subject()
	now, err := s.judgePeers()
	if err != nil {
		return nil, err
	}
	for i := range now.Peers {
		p := &now.Peers[i]
		p.Since = now.At
		if last == nil {
			continue
		}
		if before := last.ByKey[p.Key]; before != nil && before.Verdict.Code == p.Verdict.Code {
			p.Since = before.Since
		}
	}
	k.last.Store(now)
	return now, nil
}

func (k *Kept) within(most time.Duration) bool { return k != nil && time.Since(k.At) < most }

// rests reports whether it is too early to ask the doctor in the background again.
func (k *Kept) rests() bool { return k != nil && k.within(max(KeptFresh, restTimes*k.took)) }

// Kept returns what is known, nil if that is nothing or too old, and has it found out anew meanwhile
// unless it rests. It waits for that up to wait; what is found out after that is for the next who
// asks.
func (k *Keeper) Kept(wait time.Duration) *Kept {
	last := k.last.Load()
	if !last.rests() {
		if done := k.refresh(); wait > 0 {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			select {
			case <-done:
			case <-timer.C:
			}
			last = k.last.Load()
		}
	}
	if last.within(KeptTime) {
		return last
	}
	return nil
}

// refresh has the doctor asked in the background, once for all. The channel is closed when he
// has been.
func (k *Keeper) refresh() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pending != nil {
		return k.pending
	}
	done := make(chan struct{})
	if k.life.Err() != nil {
		close(done)
		return done
	}
	k.pending = done
	k.tasks.Go(func() {
		_, _ = k.Now(k.life) // the age of what is kept tells, and who asks for it now why
		k.mu.Lock()
		k.pending = nil
		k.mu.Unlock()
		close(done)
	})
	return done
}

// judgePeers is what a doctor says of the peers, from what has been recorded up to now.
func (s *Subject) judgePeers() (*Kept, error) {
	start := time.Now()
	know, err := s.Knowledge()
	if err != nil {
		return nil, err
	}
	d := newDoctor(s, DoctorRequest{VerdictsOnly: true}, know)
	trips := collect.RoundTrips{Level: d.facts.Level}
	events := s.Tunnel.Recorder().Snapshot(start.Add(-history), nil)
	for i := range events {
		d.col.Add(&events[i])
		trips.Add(&events[i])
	}
	kept := &Kept{At: start, ByKey: make(map[key.Public]*KeptPeer, len(d.col.Peers))}
	kept.Peers = make([]KeptPeer, 0, len(d.col.Peers))
	d.judge(func(id probe.PeerID, k key.Public, r *diagnose.PeerReport) {
		rt, _ := trips.Latest(id)
		kept.Peers = append(kept.Peers, KeptPeer{PeerReport: inShort(r), Key: k, RoundTrip: rt})
	})
	for i := range kept.Peers {
		kept.ByKey[kept.Peers[i].Key] = &kept.Peers[i]
	}
	kept.took = time.Since(start)
	return kept, nil
}

// inShort is a report without what is long.
func inShort(r *diagnose.PeerReport) diagnose.PeerReport {
	v := r.Verdict
	v.Evidence, v.Fix, v.Candidates = nil, nil, nil
	return diagnose.PeerReport{Peer: r.Peer, PeerName: r.PeerName, Side: r.Side, State: r.State, HandshakeAge: r.HandshakeAge, Verdict: v}
}
