// Package burst is for those who look at the kernel again whenever something there has changed.
// Changes come in bursts of announcements, and on some hosts without end: so one is told once,
// waits until a burst is over, looks, and then pauses for so much longer than the look took.
package burst

import (
	"context"
	"time"

	"github.com/wgnode/wgnode/tunnel/netchange"
)

const (
	// A change of network comes as a burst of announcements. It counts as over
	// when there was none for Settle, and after Most in any case.
	Settle, Most = 200 * time.Millisecond, time.Second
	// On a router whose routes change all the time, looking at them must not
	// become its main occupation: the pause after a look is so many times as long
	// as the look was, up to Most.
	Pauses = 9
)

// Network tells that the network has changed; once, however often it does
// before somebody looks. The watcher is to be closed.
func Network() (*netchange.Watcher, <-chan struct{}, error) {
	return announced(netchange.Watch)
}

// Links is Network for links alone.
func Links() (*netchange.Watcher, <-chan struct{}, error) {
	return announced(netchange.WatchLinks)
}

func announced(watch func(func()) (*netchange.Watcher, error)) (*netchange.Watcher, <-chan struct{}, error) {
	changed := make(chan struct{}, 1)
	w, err := watch(func() {
		select {
		case changed <- struct{}{}:
		default: // it is known already
		}
	})
	return w, changed, err
}

// Settled returns when a burst is over.
func Settled(changed <-chan struct{}) {
	most := time.After(Most)
	for {
		select {
		case <-changed:
		case <-most:
			return
		case <-time.After(Settle):
			return
		}
	}
}

// Pause waits for d, or until ctx ends.
func Pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
