package web

import (
	"context"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/probe/overview"
)

// Host is what is asked about tunnels; see [running.Host].
type Host interface {
	// Overview is what there is to see of tunnels at a glance; names nil: of all of this host.
	Overview(ctx context.Context, names []string, req overview.Request) *overview.Overview
	// Client returns a client for a tunnel.
	Client(name string) (*control.Client, error)
}

// lingers is how long this host is still looked at when nobody does any more: between two
// questions of one page a device of the kernel's need not be attached to anew.
const lingers = 30 * time.Second

// looking is a [Host] as long as somebody looks at it: a device of the kernel's is attached to by
// this process, and not when no page is open.
type looking struct {
	begin func(ctx context.Context) Host

	mu    sync.Mutex
	host  Host               // nil while nobody looks; guarded by mu, as is all below
	end   context.CancelFunc // of host
	users int
	idle  *time.Timer // ends host; nil while it has users
	ended bool
}

// use returns the host. done must be called when it is no longer needed.
func (l *looking) use() (host Host, done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.idle != nil {
		l.idle.Stop() // if it is too late, expire finds that there is a user
		l.idle = nil
	}
	if l.host == nil {
		var ctx context.Context
		ctx, l.end = context.WithCancel(context.Background())
		if l.ended {
			l.end()
		}
		l.host = l.begin(ctx)
	}
	l.users++
	return l.host, sync.OnceFunc(l.release)
}

func (l *looking) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users--; l.users == 0 && !l.ended {
		l.idle = time.AfterFunc(lingers, l.expire)
	}
}

func (l *looking) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users == 0 && l.host != nil {
		l.end()
		l.host, l.idle = nil, nil
	}
}

// close ends what is looked at.
func (l *looking) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.idle != nil {
		l.idle.Stop()
	}
	if l.host != nil {
		l.end()
	}
}
