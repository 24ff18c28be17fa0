package observe

import (
	"context"
	"time"
)

// attempt is the source of one outcome.
type attempt struct {
	try     func(context.Context) error
	to      chan Observation
	started bool
}

// Attempt returns the source of one outcome: that of something which is tried, such as
// to send a probe and to get an answer. It calls try when it is started, once.
func Attempt(try func(context.Context) error) Source {
	return &attempt{try: try, to: make(chan Observation, 1)}
}

// Start begins the attempt. It ends by itself, or with ctx.
func (a *attempt) Start(ctx context.Context, _ Selection) error {
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
func (a *attempt) Observations() <-chan Observation { return a.to }

// Unseen is nothing.
func (a *attempt) Unseen() []string { return nil }

// Close does not wait for the attempt: that may take its time to notice that ctx has
// ended.
func (a *attempt) Close() error { return nil }
