package transit

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wgnode/wgnode/tunnel/netstack"
)

// flows are those without connections, of which there are only so many.
type flows struct {
	max int

	mu  sync.Mutex
	all map[*flow]struct{} // guarded by mu
}

// flow is one of them.
type flow struct {
	used atomic.Int64 // when something passed last, in Unix nanoseconds
	ctx  context.Context
	end  context.CancelFunc
}

func (f *flow) touch() { f.used.Store(time.Now().UnixNano()) }

// open adds a flow; leave is for its end. If there are too many the one that was
// silent for longest ends.
func (fs *flows) open(ctx context.Context) (f *flow, leave func()) {
	f = new(flow)
	f.touch()
	f.ctx, f.end = context.WithCancel(ctx)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.all == nil {
		fs.all = make(map[*flow]struct{})
	}
	if len(fs.all) >= fs.max {
		var oldest *flow
		for o := range fs.all {
			if oldest == nil || o.used.Load() < oldest.used.Load() {
				oldest = o
			}
		}
		oldest.end()
		delete(fs.all, oldest)
	}
	fs.all[f] = struct{}{}
	return f, func() {
		f.end()
		fs.mu.Lock()
		defer fs.mu.Unlock()
		delete(fs.all, f)
	}
}

// datagrams are the buffers for one packet each.
var datagrams = sync.Pool{New: func() any { return new([65535]byte) }}

// udp passes datagrams on, both ways, until none has passed for a while.
func (r *Router) udp(a *netstack.Arrival) {
	f, leave := r.flows.open(r.ctx)
	defer leave()
	w := witness{r.record, a.Flow}
	far, err := r.dial("udp", a)
	if err != nil {
		w.sent(a.Len, 0)
		a.Refuse(w.failed(err))
		return
	}
	near, err := a.Accept()
	if err != nil {
		_ = far.Close() // nothing was sent
		return
	}
	stop := context.AfterFunc(f.ctx, func() {
		_ = near.Close() // packets may get lost
		_ = far.Close()
	})
	defer stop()
	defer far.Close()
	defer near.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer f.end()
	told := func(err error) { a.Unreachable(w.failed(err)) }
	wg.Go(func() {
		defer f.end()
		r.copy(f, near, func(b []byte) {
			w.sent(len(b)+a.Head, 0)
			if _, err := far.Write(b); errnoOf(err) != 0 {
				told(err)
			}
		}, func(error) {})
	})
	r.copy(f, far, func(b []byte) {
		w.got(len(b)+a.Head, 0)
		_, _ = near.Write(b) // as any queue that is full, or it is closed
	}, told)
}

// copy gives what from receives to pass until f ends, or was silent for too long.
// What the network says of packets that were sent before goes to told.
func (r *Router) copy(f *flow, from net.Conn, pass func([]byte), told func(error)) {
	buf := datagrams.Get().(*[65535]byte)
	defer datagrams.Put(buf)
	for {
		if err := from.SetReadDeadline(time.Now().Add(r.idle(f.used.Load()))); err != nil {
			return // it is closed
		}
		n, err := from.Read(buf[:])
		switch {
		case err == nil:
			f.touch()
			pass(buf[:n])
		case isTimeout(err):
			if r.idle(f.used.Load()) <= 0 {
				return
			}
		case errnoOf(err) != 0:
			forgetErrors(from)
			told(err)
		default:
			return // it is closed
		}
	}
}
