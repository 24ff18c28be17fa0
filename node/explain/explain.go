package explain

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/diagnose/rules"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/key"
)

// DefaultTimeout is how long a verdict may take: two attempts at a handshake. KernelTimeout is
// that of a device of the kernel's, which begins these by itself alone: 15 s after a packet
// that nothing has answered.
const (
	DefaultTimeout = 9 * time.Second
	KernelTimeout  = 25 * time.Second
)

// DefaultTimeout is how long a verdict on the tunnel may take unless something else is said.
func (s *Subject) DefaultTimeout() time.Duration {
	if s.Tunnel.Level().Kernel() {
		return KernelTimeout
	}
	return DefaultTimeout
}

const (
	// linger is how long events are awaited after the probe's answer: those
	// of the answer itself may not all have been read yet.
	linger = 300 * time.Millisecond
	// askAgain is how long a flow may go unanswered before the peer is asked
	// for a fresh handshake.
	askAgain = 2 * time.Second
	// awaitNew is how long a passive explanation waits for a connection that begins, where
	// it has seen only one that runs on.
	awaitNew = 2500 * time.Millisecond
	// memory is how far back a passive explanation looks at handshakes.
	memory = 11 * time.Second
	// look is how often the facts are judged when nothing passes.
	look = 100 * time.Millisecond
)

// Request is what to explain. It is also the body of the control socket's
// request.
type Request struct {
	// Target is the destination; with port 0 it is probed by ICMP echo, else
	// by a TCP connection, or by UDP.
	Target netip.AddrPort `json:"target"`
	// UDP probes by datagrams, and looks at those alone; the target has a port then.
	UDP bool `json:"udp,omitempty"`
	// Payload is what the datagrams have in them, at most MaxPayload bytes; a question of the
	// port's protocol, where one is known, if it is empty.
	Payload []byte `json:"payload,omitempty"`
	// Passive sends nothing and waits for another program's packet, or another host's.
	Passive bool `json:"passive,omitempty"`
	// As is the process that the probe is sent as, 0: as the node's own.
	As int `json:"as,omitempty"`
	// From narrows a passive explanation to flows from there: inner addresses,
	// or the outer one of a host that shakes hands. Invalid: any.
	From netip.Prefix `json:"from,omitzero"`
	// Timeout bounds the wait; that of [Subject.DefaultTimeout] if 0.
	Timeout time.Duration `json:"timeout,omitempty"`
}

// Explain follows one flow and says what became of it. An error means that it
// could not be tried; a fault that is found is in the report.
func Explain(ctx context.Context, s Subject, req Request) (*diagnose.Report, error) {
	x, err := begin(ctx, s, req)
	if err != nil {
		return nil, err
	}
	defer x.session.Close()
	return x.run(ctx)
}

// begin starts to watch: nothing that passes from now on is missed. The caller
// closes the session.
func begin(ctx context.Context, s Subject, req Request) (*explanation, error) {
	if err := s.canProbe(&req); err != nil {
		return nil, err
	}
	if req.As != 0 {
		p, err := s.As(req.As)
		if err != nil {
			return nil, fmt.Errorf("explain: %w", err)
		}
		s.Prober = p
	}
	if req.Timeout <= 0 {
		req.Timeout = s.DefaultTimeout()
	}
	x, err := newExplanation(ctx, s, req)
	if err != nil {
		return nil, err
	}
	if req.Passive {
		x.recall()
		x.facts.Since = x.started
	}
	return x, nil
}

// newExplanation begins to observe the tunnel's events, until ctx ends or the session
// is closed, and collects what is known before anything passes.
func newExplanation(ctx context.Context, s Subject, req Request) (*explanation, error) {
	started := time.Now()
	session := observe.NewSession(look, linger)
	events := observe.Recorder(s.Tunnel.Recorder(), probe.SubscribeOptions{}, s.Settle)
	err := session.Start(ctx, events, observe.Selection{})
	var k collect.Knowledge
	if err == nil {
		k, err = s.Knowledge()
	}
	if err != nil {
		session.Close()
		return nil, err
	}
	x := &explanation{Subject: s, inquiry: newInquiry(k, &req), req: req, started: started, session: session}
	x.prepare()
	return x, nil
}

// run probes or waits, and judges.
func (x *explanation) run(ctx context.Context) (*diagnose.Report, error) {
	wctx, cancel := context.WithTimeout(ctx, x.req.Timeout)
	defer cancel()
	if err := x.start(wctx); err != nil {
		return nil, err
	}
	x.session.Run(wctx, x)
	if x.kernel != nil {
		x.kernel.whose.end()
	}
	v := x.judge()
	if v.Healthy() && x.Kernel && !x.req.Passive {
		x.facts.PathMTU = x.measure(ctx)
		v = x.judge()
	}
	if v.Healthy() && x.req.Passive {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("full-size packets were not tested"))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := x.report(v, x.started, time.Now())
	if a, ok := x.Prober.(As); ok {
		r.As = a.String()
	}
	r.MTU = x.MTU
	x.addFindings(ctx, r)
	return r, nil
}

// explanation is one run of Explain.
type explanation struct {
	Subject
	inquiry
	req     Request
	started time.Time
	session *observe.Session
	// stood is what the verdict was when it was last looked at and was settled, else zero.
	stood place
	// now is the configuration's file, nil if nothing is to be said of it.
	now *config.Config
	// backOf is the address that facts.Back is about.
	backOf netip.Addr
	// refused is the message whose refusal was looked into last.
	refused *probe.Event
	sayer   netip.AddrPort // whose ICMP error was looked at last, see sayer
	// recalled is the last handshake message that recall took, by its Seq.
	recalled uint64

	// id tells the probe from other packets, see [Ready].
	id uint16
	// asked is how often it was asked whether a connection is the probe's.
	asked int
	// translated says that the probe enters the tunnel with another id than it was sent
	// with, and followed that the kernel is watched for that.
	translated, followed bool
	// others are packets of the kernel, traced or dropped, that belong to the flow if it
	// turns out to be another connection than it is.
	others []observe.Observation
	// forwardedTo is what this host translates the target to, invalid if it was
	// not seen to.
	forwardedTo netip.AddrPort
	// kernel is nil where there is none below.
	kernel *kernelWatch
}

// place is what a verdict is about, without its details.
type place struct {
	code diagnose.Code
	at   probe.Checkpoint
}

// prepare finds out what is known before anything passes.
func (x *explanation) prepare() {
	f := x.facts
	x.lacks(f)
	x.now = x.filed()
	switch {
	case x.Kernel:
		x.flow.Route = routeTo(x.flow.Target, x.proto(), 0, x.Interface)
	case x.Local != nil:
		x.flow.Route.Local = x.Local(x.flow.Target.Addr())
	}
	to := x.know.Lookup(x.flow.Target.Addr())
	if !x.req.Passive {
		f.Side = probe.SideA
		if to != 0 {
			x.choose(to)
			x.col.Via = to
		} else {
			f.Nearest = nearest(x.col.Peers, x.flow.Target.Addr())
		}
		var k key.Public
		if f.Peer != nil {
			k = f.Peer.Key
		}
		f.Changed = x.changed(f, x.flow.Target.Addr(), k)
		f.Unapplied = x.unappliedTo(x.now, f.PublicKey, x.flow.Target.Addr(), k)
		x.answeredBefore()
		return
	}
	x.col.Follow, x.col.From = true, x.from
	f.Side = probe.SideB
	f.Changed = x.changed(f, netip.Addr{}, key.Public{})
	f.Unapplied = x.unappliedTo(x.now, f.PublicKey, x.flow.Target.Addr(), x.Tunnel.PeerState(to).Key)
	if !x.flow.Route.Local {
		x.behind = to
	}
	if x.behind != 0 && !x.inTunnel(x.from) {
		f.Side = probe.SideA
		x.choose(x.behind)
	} else if x.inTunnel(x.from) {
		x.passOn(x.know.Lookup(x.from.Addr()))
	}
}

// inTunnel reports whether a prefix is behind a peer.
func (x *explanation) inTunnel(p netip.Prefix) bool {
	return p.IsValid() && x.know.Lookup(p.Addr()) != 0
}

// proto is the protocol of the flow, 0 if it may be more than one.
func (x *explanation) proto() uint8 {
	if all := x.requests(); len(all) == 1 {
		return all[0].Proto
	}
	return 0
}

// choose is that of the inquiry, and looks up where packets to the peer's endpoint go.
func (x *explanation) choose(id probe.PeerID) {
	x.inquiry.choose(id)
	x.route(x.facts, x.facts.Peer)
}

// passOn is that of the inquiry, and looks up where packets to the peer's endpoint go.
func (x *explanation) passOn(from probe.PeerID) {
	if from != 0 {
		x.only(from)
	}
	onward := x.inquiry.passOn(from)
	x.route(x.facts, x.facts.Peer)
	if onward != nil && x.Kernel {
		onward.Kernel = &evidence.KernelEvidence{}
	}
}

// start begins to watch the kernel, if there is one below, and to probe, unless that is
// done by others: the probe leaves once it is known what tells it from other packets, and
// those are watched for.
func (x *explanation) start(ctx context.Context) error {
	if x.req.Passive {
		if x.Kernel {
			x.watchKernel(ctx)
		}
		return nil
	}
	known, watched := make(chan uint16, 1), make(chan struct{})
	x.flow.Probe.Sent, x.flow.Probe.As = true, x.req.As != 0
	if err := x.session.Start(ctx, observe.Attempt(func(ctx context.Context) error {
		defer close(known) // nothing leaves any more
		return x.probe(ctx, func(id uint16) {
			select {
			case known <- id:
			default: // it is sent once more
			}
			<-watched
		})
	}), observe.Selection{}); err != nil {
		return err
	}
	x.id = <-known
	x.flow.Client = netip.AddrPortFrom(netip.Addr{}, x.id)
	if x.Kernel {
		x.watchKernel(ctx)
	}
	close(watched)
	return nil
}

// probe sends what is then followed.
func (x *explanation) probe(ctx context.Context, ready Ready) error {
	if x.flow.UDP {
		return x.Prober.(Exchanger).Exchange(ctx, x.flow.Target, x.req.payload(), ready)
	}
	if x.flow.Target.Port() == 0 {
		return x.Prober.Ping(ctx, x.flow.Target.Addr(), ready)
	}
	return x.Prober.Connect(ctx, x.flow.Target, ready)
}

// probed is what became of the probe.
func probed(o *observe.Outcome) diagnose.Probe {
	p := diagnose.Probe{Sent: true, Done: true, Answered: o.Err == nil, Took: o.End.Sub(o.Start)}
	errors.As(o.Err, &p.Errno)
	if errors.Is(o.Err, context.DeadlineExceeded) || errors.Is(p.Errno, syscall.ETIMEDOUT) {
		p.Done = false // it was still waiting when we stopped
	}
	return p
}

func (x *explanation) judge() diagnose.Verdict {
	v, _ := rules.Judge(x.facts, time.Now())
	return v
}
