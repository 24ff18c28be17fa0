package observe

import (
	"context"
	"errors"
	"fmt"
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

// eventsAtOnce are in one observation at most.
const eventsAtOnce = 256

func (r *recorder) read(ctx context.Context) {
	defer close(r.done)
	for {
		mark, reading, cancel := r.asked(ctx)
		read := r.sub.Read
		if mark != 0 {
			if r.settle != nil {
				r.settled(ctx)
			}
			end := time.Now()
			read = func(ctx context.Context, buf []probe.Event) (int, error) { return r.sub.ReadUntil(ctx, buf, end) }
			reading, cancel = context.WithTimeout(ctx, syncTime)
		}
		over := r.deliverAll(ctx, reading, read)
		cancel()
		if over || mark != 0 && !r.deliver(ctx, Observation{mark: mark}) {
			return
		}
	}
}

// deliverAll delivers what is read until reading ends, or nothing more is to be read, and reports
// whether the source is over.
func (r *recorder) deliverAll(ctx, reading context.Context, read func(context.Context, []probe.Event) (int, error)) (over bool) {
	for {
		buf := make([]probe.Event, eventsAtOnce)
		n, err := read(reading, buf)
		switch {
		case err != nil:
			return reading.Err() == nil || ctx.Err() != nil // else the subscription has ended
		case n == 0:
			return false
		case !r.deliver(ctx, Observation{Events: buf[:n]}):
			return true
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
	if r.stop == nil {
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
