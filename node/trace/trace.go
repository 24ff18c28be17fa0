//go:build linux

package trace

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/host/routing"
	"github.com/wgnode/wgnode/probe/walk"
)

const (
	// patience is how long a reply is awaited after the encrypted packet left.
	patience = 2 * time.Second
	// linger is how long is observed after the end is known: the sources do not
	// report all at once.
	linger = 300 * time.Millisecond
	look   = 50 * time.Millisecond
	// attempts is how many packets are sent at most: in other traffic the encrypted
	// reply may come as a part of a larger one (UDP_GRO), of which the kernel shows
	// but the beginning.
	attempts = 4
)

// Run sends a packet and follows it. An error means that it could not be tried;
// a packet that is lost is an outcome. What it adds to the kernel's packet filter
// in order to see is gone when it returns, and also when the process is killed.
func Run(ctx context.Context, s explain.Subject, req Request) (*walk.Walk, error) {
	if s.Prober == nil {
		return nil, errors.New("trace: this node cannot send a packet")
	}
	if req.Timeout <= 0 {
		req.Timeout = s.DefaultTimeout()
	}
	defer s.Tunnel.SendApart()()
	ctx, cancel := context.WithTimeout(ctx, req.Timeout)
	defer cancel()
	for n := 1; ; n++ {
		x, err := follow(ctx, s, req)
		if err != nil {
			return nil, err
		}
		if n == attempts || ctx.Err() != nil || x.sure() {
			defer x.session.Close()
			return walk.Build(x.gather()), nil
		}
		x.session.Close()
	}
}

// sure reports whether another packet would show no more: the reply came, and each
// source has observed this packet; or it did not come, and the cause may be gone with
// the next.
func (x *run) sure() bool {
	j := x.join()
	return !x.answer.Answered || x.copies() || j.sentOther == "" && j.receivedOther == ""
}

// follow sends one packet and observes what becomes of it. The caller closes the
// run's session.
func follow(ctx context.Context, s explain.Subject, req Request) (*run, error) {
	x, err := newRun(s, req)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	x.session = observe.NewSession(look, linger)
	if err := x.start(ctx); err != nil {
		x.session.Close()
		return nil, fmt.Errorf("trace: %w", err)
	}
	x.session.Run(ctx, x)
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		x.session.Close()
		return nil, err
	}
	return x, nil
}

// start has the packet sent, once everything is ready to observe it.
func (x *run) start(ctx context.Context) error {
	x.recorder = observe.Recorder(x.Tunnel.Recorder(), probe.SubscribeOptions{Match: x.concerns}, x.Settle)
	if err := x.session.Start(ctx, x.recorder, observe.Selection{}); err != nil {
		return err
	}
	id, watched, failed := make(chan uint16), make(chan struct{}), make(chan error, 1)
	send := observe.Attempt(func(ctx context.Context) error {
		err := x.send(ctx, func(known uint16) {
			select {
			case id <- known:
				<-watched
			case <-watched: // it is sent once more
			}
		})
		failed <- err
		return err
	})
	if err := x.session.Start(ctx, send, observe.Selection{}); err != nil {
		return err
	}
	select {
	case x.id = <-id:
	case err := <-failed:
		return err
	}
	x.watch(ctx)
	x.recall()
	x.sent = time.Now()
	close(watched)
	return nil
}

// run is one run of Run.
type run struct {
	explain.Subject
	to    netip.AddrPort
	proto uint8
	id    uint16 // see explain.Ready
	peer  probe.PeerID
	// whose is the peer of a message, see tunnel.PeerOf.
	whose func(head []byte, sent bool) probe.PeerID
	facts *diagnose.Facts // about the peer, as they are before the packet is sent

	session  *observe.Session
	recorder observe.Source
	kernel   *evidence.KernelEvidence // what cannot be seen of netfilter; nil before it is watched

	// What was observed, in order.
	sent    time.Time     // when the packet left
	earlier []probe.Event // handshakes, from before it left
	events  []probe.Event
	packets []*observe.Packet
	drops   []*observe.Dropped
	answer  walk.Answer
	done    bool // no answer can come any more
}

func newRun(s explain.Subject, req Request) (*run, error) {
	k, err := s.Knowledge()
	if err != nil {
		return nil, err
	}
	x := &run{Subject: s, whose: s.Tunnel.PeerOf, to: netip.AddrPortFrom(req.Target.Addr().Unmap(), req.Target.Port()), proto: probe.ProtoTCP,
		facts: collect.FactsFrom(k), answer: walk.Answer{Text: "nothing came"}}
	switch {
	case !x.to.IsValid():
		return nil, errors.New("no destination is given")
	case x.to.Port() == 0 && x.to.Addr().Is4():
		x.proto = probe.ProtoICMP
	case x.to.Port() == 0:
		x.proto = probe.ProtoICMPv6
	}
	x.peer = k.Lookup(x.to.Addr())
	if x.facts.Peer = collect.CollectorFor(k).Peers[x.peer]; x.facts.Peer == nil {
		x.facts.Peer = new(diagnose.Peer) // without a key and an endpoint
	}
	return x, nil
}

// maxEvents bounds the memory for a flow that is busy besides our packet.
const maxEvents = 4096

// Add implements [observe.Policy].
func (x *run) Add(o *observe.Observation) {
	switch {
	case o.Packet != nil:
		x.take(o.Packet)
	case o.Dropped != nil:
		if len(x.drops) < maxDrops {
			x.drops = append(x.drops, o.Dropped)
		}
	case o.Outcome != nil:
		x.answer, x.done = answered(o.Outcome.Err, o.Outcome.End.Sub(x.sent)), true
	default:
		x.events = append(x.events, o.Events[:min(len(o.Events), maxEvents-len(x.events))]...)
	}
}

// answered words how the sending ended.
func answered(err error, took time.Duration) walk.Answer {
	var errno syscall.Errno
	switch errors.As(err, &errno); {
	case err == nil:
		return walk.Answer{Answered: true, Text: "answered", Took: took}
	case errno == syscall.ECONNREFUSED:
		return walk.Answer{Answered: true, Text: "answered: connection refused", Took: took}
	}
	return walk.Answer{Text: err.Error(), Took: took}
}

// Look implements [observe.Policy]: it says whether the end of the walk is known.
func (x *run) Look(context.Context) observe.State {
	j := x.join()
	switch {
	case j.seen[probe.A1] != nil && j.seen[probe.A1].Dropped(), j.dropped != nil, x.fatal(j):
		return observe.Settled
	case x.answer.Answered && j.complete(x):
		return observe.Complete
	case x.done:
		return observe.Settled
	case j.networkError != nil, j.complaint != nil, x.astray(j):
		return observe.Settled
	}
	if e := j.seen[probe.A4]; e != nil && j.seen[probe.A5] == nil && time.Since(e.When()) > patience {
		return observe.Settled
	}
	return observe.Open
}

// astray reports whether the packet has left by another link than the tunnel's.
func (x *run) astray(j *joined) bool {
	p := j.out
	return p != nil && j.seen[probe.A1] == nil && p.Fate().Outcome == netfilter.Passed && routing.LinkName(p.Last.Out) != x.Interface
}

// fatal reports whether the kernel is known to have lost the packet.
func (x *run) fatal(j *joined) bool {
	for _, p := range []*observe.Packet{j.out, j.sent, j.initiation, j.response, j.in} {
		if p == nil || p.Incomplete || p.First.Fragment {
			continue
		}
		if o := p.Fate().Outcome; o == netfilter.Dropped || o == netfilter.Lost {
			return true
		}
	}
	e := j.seen[probe.A3]
	return e != nil && e.Dropped()
}
