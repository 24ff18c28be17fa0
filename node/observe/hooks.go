//go:build linux

package observe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

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
	listed bool     // guarded by mu: what was found is delivered
	mark   int64    // guarded by mu: that was asked for before that
}

func newListing() Source { return &listing{list: hooks.List, to: make(chan Observation)} }

// Start begins to look, the first time that it is called: what is there does not depend on
// the packets that are selected.
func (a *listing) Start(ctx context.Context, _ Selection) error {
	a.once.Do(func() {
		ctx, a.stop = context.WithCancel(ctx)
		a.done = make(chan struct{})
		within, err := inNamespace()
		go func() {
			defer close(a.done)
			var found []evidence.Hook
			var unseen []string
			if err == nil {
				err = within(func() { found, unseen = a.list() })
			}
			if err != nil {
				unseen = append(unseen, fmt.Sprintf("programs and filters at devices were not listed: %v", err))
			}
			a.mu.Lock()
			a.unseen = append(unseen, untraced(found)...)
			a.mu.Unlock()
			if len(found) > 0 && !deliver(ctx, a.to, Observation{Hooks: found}) {
				return
			}
			if mark := a.end(); mark != 0 {
				deliver(ctx, a.to, Observation{mark: mark})
			}
		}()
	})
	return nil
}

// end notes that what was found is delivered, and returns the mark that is asked for.
func (a *listing) end() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.listed = true
	return a.mark
}

// Sync implements [Syncer].
func (a *listing) Sync(mark int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.listed || a.done == nil {
		return false
	}
	a.mark = mark
	return true
}

// inNamespace returns what runs a function in the calling thread's network namespace, on
// whatever thread that is called.
func inNamespace() (func(func()) error, error) {
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("find this network namespace: %w", err)
	}
	want, err := namespace()
	if err != nil {
		return nil, errors.Join(err, ns.Close())
	}
	return func(fn func()) error {
		defer ns.Close()
		runtime.LockOSThread()
		if now, err := namespace(); err == nil && now == want {
			defer runtime.UnlockOSThread()
			fn()
			return nil
		}
		// Never unlocked: the thread ends with its goroutine.
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the network namespace: %w", err)
		}
		fn()
		return nil
	}, nil
}

// untracedNamed bounds what is said of a host that has a program at each device.
const untracedNamed = 8

// untraced says what takes or changes packets where the trace does not see them.
func untraced(found []evidence.Hook) []string {
	var at []string
	for _, h := range found {
		switch h.Kind {
		case evidence.HookXDP, evidence.HookTCIngress, evidence.HookTCEgress:
			at = append(at, h.Text)
		default: // it drops packets or lets them pass, and a drop is told
		}
	}
	more := ""
	if len(at) > untracedNamed {
		at, more = at[:untracedNamed], ", and others"
	}
	if len(at) == 0 {
		return nil
	}
	return []string{"the trace does not show what these do with packets: " + strings.Join(at, ", ") + more}
}

// Observations implements [Source].
func (a *listing) Observations() <-chan Observation { return a.to }

// Unseen says what could not be listed, and what the trace does not show.
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
