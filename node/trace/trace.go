package trace

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/walk"
)

// DefaultTimeout is how long a walk may take: two attempts at a handshake.
const DefaultTimeout = explain.DefaultTimeout

const (
	// patience is how long a reply is awaited after the encrypted packet left.
	patience = 2 * time.Second
	// linger is how long witnesses are heard after the end is known: they do not
	// speak all at once.
	linger = 300 * time.Millisecond
	look   = 50 * time.Millisecond
	// attempts is how many packets are sent at most: in other traffic the encrypted
	// reply may come as a part of a larger one (UDP_GRO), of which the kernel shows
	// but the beginning.
	attempts = 4
)

// Request is what to trace. It is also the body of the control socket's request.
type Request struct {
	// Target is where the packet goes; with port 0 it is an ICMP echo request,
	// else the first of a TCP connection.
	Target netip.AddrPort `json:"target"`
	// Timeout bounds the wait; DefaultTimeout if 0.
	Timeout time.Duration `json:"timeout,omitempty"`
}

// Run sends a packet and follows it. An error means that it could not be tried;
// a packet that is lost is an outcome. What it adds to the kernel's packet filter
// in order to see is gone when it returns, and also when the process is killed.
func Run(ctx context.Context, s explain.Subject, req Request) (*walk.Walk, error) {
	if s.Prober == nil {
		return nil, errors.New("trace: this node has no way to send a packet")
	}
	if req.Timeout <= 0 {
		req.Timeout = DefaultTimeout
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
			defer x.close()
			return walk.Build(x.gather()), nil
		}
		x.close()
	}
}

// sure reports whether another packet would tell no more: the reply came, and each
// witness spoke of this packet; or it did not come, and the cause may be gone with
// the next.
func (x *run) sure() bool {
	w := x.join()
	return !x.answer.Answered || w.sentOther == "" && w.receivedOther == ""
}

// follow sends one packet and hears the witnesses.
func follow(ctx context.Context, s explain.Subject, req Request) (*run, error) {
	x, err := newRun(s, req)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	sub := s.Tunnel.Recorder().Subscribe(probe.SubscribeOptions{Match: x.concerns})
	defer sub.Close()
	ready, sent := make(chan struct{}), make(chan error, 1)
	start := time.Now()
	go func() {
		sent <- senderOf(&s, x.to)(ctx, x.to, func(id uint16) {
			x.id = id
			x.watch()
			start = time.Now()
			close(ready)
		})
	}()
	select {
	case <-ready:
	case err := <-sent:
		select {
		case <-ready: // it left, or was refused, at once
			sent <- err
		default:
			return nil, fmt.Errorf("trace: %w", err)
		}
	}
	x.listen(ctx, start, sub, sent)
	x.missed = sub.Lost()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		x.close()
		return nil, err
	}
	return x, nil
}

// run is one run of Run.
type run struct {
	explain.Subject
	to         netip.AddrPort
	proto      uint8
	id         uint16 // see sender
	peer       probe.PeerID
	state      peerState
	listenPort uint16
	mark       uint32

	tracer *netfilter.Tracer // nil: netfilter cannot be watched
	roles  []role            // of the tracer's matches
	blind  string

	// What was heard, in order.
	events  []probe.Event
	missed  uint64 // events that were overwritten before they were read
	packets []*netfilter.Packet
	answer  walk.Answer
}

// peerState is what is known of the peer before the packet is sent.
type peerState struct {
	key, name string
	endpoint  netip.AddrPort
}

func newRun(s explain.Subject, req Request) (*run, error) {
	st, err := s.Tunnel.Status()
	if err != nil {
		return nil, err
	}
	x := &run{Subject: s, to: netip.AddrPortFrom(req.Target.Addr().Unmap(), req.Target.Port()), proto: probe.ProtoTCP,
		listenPort: st.ListenPort, mark: st.FwMark}
	switch {
	case !x.to.IsValid():
		return nil, errors.New("no destination is given")
	case x.to.Port() == 0 && x.to.Addr().Is4():
		x.proto = probe.ProtoICMP
	case x.to.Port() == 0:
		x.proto = probe.ProtoICMPv6
	}
	if r, ok := s.Tunnel.Lookup(x.to.Addr()); ok {
		x.peer = r.Peer
		ps := s.Tunnel.PeerState(r.Peer)
		x.state = peerState{ps.Key.Base64(), ps.Name, ps.Endpoint}
	}
	return x, nil
}

// maxEvents bounds the memory for a flow that is busy besides our packet.
const maxEvents = 4096

// listen hears the witnesses until the end of the walk is known.
func (x *run) listen(ctx context.Context, start time.Time, sub *probe.Subscription, sent <-chan error) {
	ctx, stop := context.WithCancel(ctx)
	events, packets := make(chan []probe.Event), make(chan *netfilter.Packet)
	ended := make(chan struct{}, 2)
	go func() { sub.Feed(ctx, events); ended <- struct{}{} }()
	go func() { x.readPackets(ctx, packets); ended <- struct{}{} }()
	defer func() {
		stop()
		<-ended
		<-ended
	}()
	tick := time.NewTicker(look)
	defer tick.Stop()
	var until time.Time
	x.answer.Text = "nothing came"
	for {
		select {
		case <-ctx.Done():
			return
		case evs := <-events:
			x.events = append(x.events, evs[:min(len(evs), maxEvents-len(x.events))]...)
		case p := <-packets:
			x.take(p)
		case err := <-sent:
			x.answer = answered(err, time.Since(start))
			sent = nil
		case <-tick.C:
		}
		switch known := x.known(sent == nil, time.Now()); {
		case known == whole:
			return
		case known == ending && until.IsZero():
			until = time.Now().Add(linger)
		case known == ending && time.Now().After(until):
			return
		}
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

// knowledge is how far the end of the walk is known.
type knowledge int

const (
	open   knowledge = iota
	ending           // what comes now adds details only
	whole            // nothing can come
)

// known says whether there is anything to wait for.
func (x *run) known(done bool, now time.Time) knowledge {
	w := x.join()
	switch {
	case w.seen[probe.A1] != nil && w.seen[probe.A1].Dropped(), w.dropped != nil, x.fatal(w):
		return ending
	case x.answer.Answered && w.complete(x):
		return whole
	case done:
		return ending
	case w.networkError != nil, w.complaint != nil, x.astray(w):
		return ending
	}
	if e := w.seen[probe.A4]; e != nil && w.seen[probe.A5] == nil && now.Sub(e.When()) > patience {
		return ending
	}
	return open
}

// astray reports whether the packet has left by another link than the tunnel's.
func (x *run) astray(w *witnesses) bool {
	p := w.out
	return p != nil && w.seen[probe.A1] == nil && p.Fate().Outcome == netfilter.Passed && link.NameOf(p.Last.Out) != x.Interface
}

// fatal reports whether the kernel is known to have lost the packet.
func (x *run) fatal(w *witnesses) bool {
	for _, p := range []*netfilter.Packet{w.out, w.sent, w.initiation, w.response, w.in} {
		if p == nil || p.Incomplete || p.First.Fragment {
			continue
		}
		if o := p.Fate().Outcome; o == netfilter.Dropped || o == netfilter.Lost {
			return true
		}
	}
	e := w.seen[probe.A3]
	return e != nil && e.Dropped()
}
