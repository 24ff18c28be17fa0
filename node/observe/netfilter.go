//go:build linux

package observe

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// tracing is the source of traversals: which chains and rules of this host's
// packet filter the selected packets met, and how that ended. What it adds to the
// packet filter in order to see is gone after Close, and when the process is killed.
type tracing struct {
	open   func([]netfilter.Match) (tracer, error)
	tracer tracer // nil: nothing is traced
	lost   uint64 // events that earlier tracers lost
	dry    dryRules
	to     chan Observation
	mark   atomic.Int64 // that was asked for last
	stop   context.CancelFunc
	done   chan struct{}
}

// tracer is what is needed of a [netfilter.Tracer].
type tracer interface {
	ruleFinder
	Next(context.Context) (*netfilter.Packet, error)
	Sync()
	Unseen() []string
	Lost() uint64
	Close() error
}

// packetsWaiting is how many packets are kept for a policy that is busy. More wait
// in the kernel.
const packetsWaiting = 64

func newTracing() *tracing {
	return &tracing{open: openTracer, to: make(chan Observation, packetsWaiting)}
}

func openTracer(matches []netfilter.Match) (tracer, error) {
	if err := netfilter.Available(); err != nil {
		return nil, err
	}
	t, err := netfilter.Start(netfilter.Config{Matches: matches})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Start traces what sel.Packets select, in the network namespace of the calling
// thread. The error says in words for the user why that is not possible.
func (n *tracing) Start(ctx context.Context, sel Selection) error {
	_ = n.end() // what may be left of the old trace does not keep a new one from working
	matches := make([]netfilter.Match, len(sel.Packets))
	for i := range sel.Packets {
		matches[i] = sel.Packets[i].Match
	}
	t, err := n.open(matches)
	if err != nil {
		return err
	}
	n.tracer, n.done = t, make(chan struct{})
	ctx, n.stop = context.WithCancel(ctx)
	go n.read(ctx, t, sel.Packets)
	return nil
}

func (n *tracing) read(ctx context.Context, t tracer, matches []Match) {
	defer close(n.done)
	for {
		p, err := t.Next(ctx)
		var o Observation
		switch {
		case errors.Is(err, netfilter.ErrSynced):
			o.mark = n.mark.Load()
		case err != nil:
			return
		default:
			o.Packet = &Packet{Packet: p, Match: matches[p.Match], rules: t, dry: &n.dry}
		}
		select {
		case n.to <- o:
		case <-ctx.Done():
			return
		}
	}
}

// end ends the present trace, if any, and forgets what it has delivered.
func (n *tracing) end() error {
	if n.tracer == nil {
		return nil
	}
	n.stop()
	err := n.tracer.Close()
	<-n.done
	n.lost += n.tracer.Lost()
	n.tracer = nil
	for {
		select {
		case <-n.to:
		default:
			return err
		}
	}
}

// Sync implements [Syncer].
func (n *tracing) Sync(mark int64) bool {
	if n.tracer == nil {
		return false
	}
	n.mark.Store(mark)
	n.tracer.Sync()
	return true
}

// Observations implements [Source].
func (n *tracing) Observations() <-chan Observation { return n.to }

// Unseen says what a trace on this host cannot see; Lost is not a part of it.
func (n *tracing) Unseen() []string {
	if n.tracer == nil {
		return nil
	}
	return n.tracer.Unseen()
}

// Lost is how many events of the traces were lost because they were not read in time.
func (n *tracing) Lost() uint64 {
	if n.tracer == nil {
		return n.lost
	}
	return n.lost + n.tracer.Lost()
}

// Close ends the trace.
func (n *tracing) Close() error { return n.end() }
