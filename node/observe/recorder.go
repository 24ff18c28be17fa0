package observe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/wgnode/wgnode/probe"
)

// recorder is the source of a tunnel's events.
type recorder struct {
	sub    *probe.Subscription
	settle func(context.Context) // nil: events are recorded as things happen
	to     chan Observation
	stop   context.CancelFunc // nil before Start
	done   chan struct{}
	unsent []probe.Event // were read when it was stopped: when done is closed

	mu   sync.Mutex
	mark int64              // guarded by mu: see Sync; 0: none is asked for
	wake context.CancelFunc // guarded by mu: ends a Read that waits; nil: there is none
}

// Recorder returns the source of the events that a flight recorder records from now on
// and, as opt says, has recorded: nothing is missed until it is started. Where things come to
// the recorder some time after they have happened, settle returns when all that has happened is
// there, or its context ends; else it is nil. Close must be called, as a rule by the session
// that it is started in.
func Recorder(rec *probe.Recorder, opt probe.SubscribeOptions, settle func(context.Context)) Source {
	return &recorder{sub: rec.Subscribe(opt), settle: settle, to: make(chan Observation)}
}

// Start begins to deliver. What is delivered does not depend on the selection.
func (r *recorder) Start(ctx context.Context, _ Selection) error {
	if r.stop != nil {
		return nil
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.done = make(chan struct{})
	go r.read(ctx)
	return nil
}

const (
	eventsAtOnce = 256 // in one observation, at most
	// joinTime is how long what has come to the recorder may take to be handed out in order, with
	// what was in each message.
	joinTime = 150 * time.Millisecond
)

func (r *recorder) read(ctx context.Context) {
	defer close(r.done)
	for {
		mark, reading, cancel := r.asked(ctx)
		if mark != 0 {
			r.settled(ctx)
			reading, cancel = context.WithTimeout(ctx, joinTime)
		}
		for {
			buf := make([]probe.Event, eventsAtOnce)
			n, err := r.sub.Read(reading, buf)
			if err != nil {
				break
			}
			if !r.deliver(ctx, Observation{Events: buf[:n]}) {
				break
			}
		}
		over := reading.Err() == nil // the subscription has ended
		cancel()
		if over || ctx.Err() != nil {
			return
		}
		if mark == 0 {
			continue
		}
		for some := range slices.Chunk(r.sub.Rest(), eventsAtOnce) {
			if !r.deliver(ctx, Observation{Events: some}) {
				return
			}
		}
		if !r.deliver(ctx, Observation{mark: mark}) {
			return
		}
	}
}

// asked is the mark that is asked for, or else a context that ends when one is.
func (r *recorder) asked(ctx context.Context) (mark int64, reading context.Context, cancel context.CancelFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	mark, r.mark = r.mark, 0
	if mark != 0 {
		r.wake = nil
		return mark, nil, nil
	}
	reading, cancel = context.WithCancel(ctx)
	r.wake = cancel
	return 0, reading, cancel
}

// deliver returns false where the source has ended.
func (r *recorder) deliver(ctx context.Context, o Observation) bool {
	select {
	case r.to <- o:
		return true
	case <-ctx.Done():
		r.unsent = append(r.unsent, o.Events...)
		return false
	}
}

// settled returns when all that has happened has come to the recorder, or that takes too long.
func (r *recorder) settled(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, syncTime/2)
	defer cancel()
	r.settle(ctx)
}

// Sync implements [Syncer].
func (r *recorder) Sync(mark int64) bool {
	if r.settle == nil || r.stop == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mark = mark
	if r.wake != nil {
		r.wake()
	}
	return true
}

// last stops the source, and returns the events that were not delivered.
func (r *recorder) last() []probe.Event {
	if r.stop == nil {
		return nil
	}
	r.stop()
	<-r.done
	if r.settle != nil {
		r.settled(context.Background())
	}
	return append(r.unsent, r.sub.Rest()...)
}

// Observations implements [Source].
func (r *recorder) Observations() <-chan Observation { return r.to }

// Unseen says how many events were overwritten before they were read.
func (r *recorder) Unseen() []string {
	if n := r.sub.Lost(); n > 0 {
		return []string{fmt.Sprintf("%d events of the tunnel were not read in time", n)}
	}
	return nil
}

// Close ends the subscription. It may be called without Start.
func (r *recorder) Close() error {
	r.sub.Close()
	if r.stop != nil {
		r.stop()
		<-r.done
	}
	return nil
}

// late hands a policy what has happened before a session's deadline and was not delivered by then:
// how late events come must not decide what is said of them.
func (s *Session) late(ctx context.Context, p Policy) {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return // nobody wants to know
	}
	for _, h := range s.hearings {
		r, ok := h.src.(*recorder)
		if !ok || r.settle == nil || h.stop == nil {
			continue
		}
		for _, o := range h.rest() {
			s.hand(p, &o)
		}
		if events := r.last(); len(events) > 0 {
			s.hand(p, &Observation{Events: events})
		}
	}
}
