package observe

import (
	"context"
	"slices"
	"sync"

	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/hooks"
)

// listing is the source of what is on the way of packets and may drop them unseen. It
// looks once, while packets are watched already.
type listing struct {
	list func() (found []evidence.Hook, unseen []string)
	to   chan Observation
	once sync.Once
	done chan struct{} // closed when it has looked and nobody is waited for any more
	stop context.CancelFunc

	mu     sync.Mutex
	unseen []string // guarded by mu
}

func newListing() Source { return &listing{list: hooks.List, to: make(chan Observation)} }

// Start begins to look, the first time that it is called: what is there does not depend on
// the packets that are selected.
func (a *listing) Start(ctx context.Context, _ Selection) error {
	a.once.Do(func() {
		ctx, a.stop = context.WithCancel(ctx)
		a.done = make(chan struct{})
		go func() {
			defer close(a.done)
			found, unseen := a.list()
			a.mu.Lock()
			a.unseen = unseen
			a.mu.Unlock()
			if len(found) == 0 {
				return
			}
			select {
			case a.to <- Observation{Hooks: found}:
			case <-ctx.Done():
			}
		}()
	})
	return nil
}

// Observations implements [Source].
func (a *listing) Observations() <-chan Observation { return a.to }

// Unseen says what could not be listed.
func (a *listing) Unseen() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.unseen)
}

// Close ends the source.
func (a *listing) Close() error {
	if a.stop != nil {
		a.stop()
		<-a.done
	}
	return nil
}
