package observe

import (
	"context"
	"fmt"

	"github.com/wgnode/wgnode/probe"
)

// recorder is the source of a tunnel's events.
type recorder struct {
	sub  *probe.Subscription
	to   chan Observation
	stop context.CancelFunc // nil before Start
	done chan struct{}
}

// Recorder returns the source of the events that a flight recorder records from now on
// and, as opt says, has recorded: nothing is missed until it is started. Close must be
// called, as a rule by the session that it is started in.
func Recorder(rec *probe.Recorder, opt probe.SubscribeOptions) Source {
	return &recorder{sub: rec.Subscribe(opt), to: make(chan Observation)}
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

const eventsAtOnce = 256 // in one observation, at most

func (r *recorder) read(ctx context.Context) {
	defer close(r.done)
	for {
		buf := make([]probe.Event, eventsAtOnce)
		n, err := r.sub.Read(ctx, buf)
		if err != nil {
			return // the end of ctx, or of the subscription
		}
		select {
		case r.to <- Observation{Events: buf[:n]}:
		case <-ctx.Done():
			return
		}
	}
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
