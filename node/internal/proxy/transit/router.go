package transit

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/node/internal/proxy"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// Stack is where the peers' packets come from: a [netstack.Net].
type Stack interface {
	Forward(*netstack.Transit) error
}

// maxConns is how many connections there are at a time unless o says another number.
// Each has two buffers of at most 1 MiB in the stack, and those of the host's socket.
const maxConns = 2048

// Open makes a router that takes from s what is for others. It must be served. record
// gets what passes B5 and B6, with everything set but time and peer; it must not
// block. Flows of UDP and echo end when nothing has passed for o.IdleTime.
func Open(s Stack, rules Rules, record func(*probe.Event), o proxy.Options) (*Router, error) {
	return open(s, rules, record, o, func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{Control: hearErrors}
		return d.DialContext(ctx, network, address)
	})
}

func open(s Stack, rules Rules, record func(*probe.Event), o proxy.Options,
	dial func(ctx context.Context, network, address string) (net.Conn, error)) (*Router, error) {
	o.MaxConns = cmp.Or(o.MaxConns, maxConns)
	r := &Router{stack: s, rules: rules, record: record, host: dial, opt: o.WithDefaults(), echoes: make(map[netstack.Flow]*echoFlow)}
	r.ctx, r.end = context.WithCancel(context.Background())
	r.conns = make(chan struct{}, r.opt.MaxConns)
	r.flows.max = maxFlows
	t := &netstack.Transit{May: r.may}
	if len(rules) > 0 {
		t.TCP, t.UDP, t.Echo = r.start(r.tcp), r.start(r.udp), r.echo
	}
	if err := s.Forward(t); err != nil {
		return nil, err
	}
	return r, nil
}

// Serve returns when ctx has ended, and with it all flows.
func (r *Router) Serve(ctx context.Context) error {
	<-ctx.Done()
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.end()
	r.running.Wait() // what ends may still have to say so to the peer
	return r.stack.Forward(nil)
}

// maxFlows is how many flows of UDP and of echo there are at a time: each has a
// socket, and a buffer for the largest packet. A further one takes the place of the
// one that was silent for longest.
const maxFlows = 1024

// Router passes flows on.
type Router struct {
	stack  Stack
	ctx    context.Context // of the flows
	end    context.CancelFunc
	rules  Rules
	record func(*probe.Event)
	host   func(ctx context.Context, network, address string) (net.Conn, error) // its sockets
	opt    proxy.Options
	conns  chan struct{} // a slot for each connection
	flows  flows

	mu      sync.Mutex
	ended   bool                        // guarded by mu
	running sync.WaitGroup              // begun under mu
	echoes  map[netstack.Flow]*echoFlow // guarded by mu
}

// may is asked about each flow.
func (r *Router) may(f netstack.Flow) bool {
	if r.rules.Allow(f) {
		return true
	}
	refuse(r.record, f)
	return false
}

// begin counts something that runs, and reports whether it may.
func (r *Router) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return false
	}
	r.running.Add(1)
	return true
}

func (r *Router) start(pass func(*netstack.Arrival)) func(*netstack.Arrival) {
	return func(a *netstack.Arrival) {
		if !r.begin() {
			a.Ignore()
			return
		}
		defer r.running.Done()
		pass(a)
	}
}

// tcp passes a connection on, from before it is one.
func (r *Router) tcp(a *netstack.Arrival) {
	select {
	case r.conns <- struct{}{}:
		defer func() { <-r.conns }()
	default:
		a.Ignore() // it is tried again
		return
	}
	w := witness{r.record, a.Flow}
	w.sent(a.Len, probe.TCPSyn)
	far, err := r.dial("tcp", a)
	if err != nil {
		a.Refuse(w.failed(err))
		return
	}
	w.got(0, probe.TCPSyn|probe.TCPAck)
	near, err := a.Accept()
	if err != nil {
		proxy.Refuse(far) // the peer is gone
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.ctx))
	defer cancel()
	stop := context.AfterFunc(r.ctx, func() { // it is not the end of what was to be said
		for _, c := range []net.Conn{near, far} {
			_ = c.(interface{ SetLinger(int) error }).SetLinger(0) // fails if it has ended
		}
		cancel()
	})
	defer stop()
	if err := proxy.Relay(ctx, near, &witnessed{Conn: far, w: w}); err != nil {
		r.opt.Logger.Debug("route: connection broke", "from", a.From.String(), "to", a.To.String(), "error", err)
	}
}

// dial reaches the far side, or says why not.
func (r *Router) dial(network string, a *netstack.Arrival) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(r.ctx, r.opt.DialTime)
	defer cancel()
	c, err := r.host(ctx, network, a.To.String())
	if err != nil && r.ctx.Err() == nil {
		r.opt.Logger.Debug("route", "from", a.From.String(), "to", a.To.String(), "error", err)
	}
	return c, err
}

// errnoOf is what the network says to an attempt, 0 if nothing.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return 0
	}
	switch errno {
	case syscall.EADDRNOTAVAIL: // this host has no address of that family
		return syscall.ENETUNREACH
	case syscall.ECONNRESET: // by one who accepted it for no longer than that
		return syscall.ECONNREFUSED
	}
	return errno
}

// isTimeout reports whether a deadline has passed.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// idle is how long a flow has to be silent to end.
func (r *Router) idle(used int64) (left time.Duration) {
	return time.Until(time.Unix(0, used).Add(r.opt.IdleTime))
}
