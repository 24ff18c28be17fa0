package observe

import (
	"context"
	"fmt"

	"github.com/wgnode/wgnode/probe"
)

// Recorder is the source of a tunnel's events. It observes from the time that it is
// made, so that nothing is missed until it is started.
type Recorder struct {
	sub  *probe.Subscription
	to   chan Observation
	stop context.CancelFunc // nil before Start
	done chan struct{}
}

// NewRecorder returns the source of the events that a flight recorder records from
// now on and, as opt says, has recorded. Close must be called, as a rule by the
// session that it is started in.
func NewRecorder(rec *probe.Recorder, opt probe.SubscribeOptions) *Recorder {
	return &Recorder{sub: rec.Subscribe(opt), to: make(chan Observation)}
}

// Start begins to deliver. What is delivered does not depend on the selection.
func (r *Recorder) Start(ctx context.Context, _ Selection) error {
	if r.stop != nil {
		return nil
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.done = make(chan struct{})
	go r.read(ctx)
	return nil
}

const eventsAtOnce = 256 // in one observation, at most

func (r *Recorder) read(ctx context.Context) {
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
func (r *Recorder) Observations() <-chan Observation { return r.to }

// Unseen says how many events were overwritten before they were read.
func (r *Recorder) Unseen() []string {
	if n := r.sub.Lost(); n > 0 {
		return []string{fmt.Sprintf("%d events of the tunnel were not read in time", n)}
	}
	return nil
}

// Close ends the subscription. It may be called without Start.
func (r *Recorder) Close() error {
	r.sub.Close()
	if r.stop != nil {
		r.stop()
		<-r.done
	}
	return nil
}
