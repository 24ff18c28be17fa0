package observe

import (
	"context"
	"time"
)

// Attempt is the source of one outcome: that of something which is tried, such as to
// send a probe and to get an answer.
type Attempt struct {
	try     func(context.Context) error
	to      chan Observation
	started bool
}

// NewAttempt returns a source that calls try, once, when it is started.
func NewAttempt(try func(context.Context) error) *Attempt {
	return &Attempt{try: try, to: make(chan Observation, 1)}
}

// Start begins the attempt. It ends by itself, or with ctx.
func (a *Attempt) Start(ctx context.Context, _ Selection) error {
	if a.started {
		return nil
	}
	a.started = true
	go func() {
		o := Outcome{Start: time.Now()}
		o.Err = a.try(ctx)
		o.End = time.Now()
		a.to <- Observation{Outcome: &o}
	}()
	return nil
}

// Observations implements [Source].
func (a *Attempt) Observations() <-chan Observation { return a.to }

// Unseen is nothing.
func (a *Attempt) Unseen() []string { return nil }

// Close does not wait for the attempt: that may take its time to notice that ctx has
// ended.
func (a *Attempt) Close() error { return nil }
