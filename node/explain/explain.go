package explain

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// DefaultTimeout is how long a verdict may take: two attempts at a handshake.
const DefaultTimeout = 9 * time.Second

const (
	// linger is how long events are awaited after the probe's answer: those
	// of the answer itself may not all have been read yet.
	linger = 300 * time.Millisecond
	// askAgain is how long a flow may go unanswered before the peer is asked
	// for a fresh handshake.
	askAgain = 2 * time.Second
	// memory is how far back a passive explanation looks at handshakes.
	memory = 11 * time.Second
	// look is how often the facts are judged when nothing passes.
	look = 100 * time.Millisecond
)

// Request is what to explain. It is also the body of the control socket's
// request.
type Request struct {
	// Target is the destination; with port 0 it is probed by ICMP echo, else
	// by a TCP connection.
	Target netip.AddrPort `json:"target"`
	// Passive sends nothing and waits for somebody else's packet.
	Passive bool `json:"passive,omitempty"`
	// From narrows a passive explanation to flows from there: inner addresses,
	// or the outer one of somebody who shakes hands. Invalid: any.
	From netip.Prefix `json:"from,omitzero"`
	// Timeout bounds the wait; DefaultTimeout if 0.
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
	if !req.Passive && s.Prober == nil {
		return nil, errNoProber
	}
	if req.Timeout <= 0 {
		req.Timeout = DefaultTimeout
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
	x := &explanation{Subject: s, req: req, started: time.Now(), session: observe.NewSession(look, linger)}
	events := observe.NewRecorder(s.Tunnel.Recorder(), probe.SubscribeOptions{})
	err := x.session.Start(ctx, events, observe.Selection{})
	if err == nil {
		err = x.prepare()
	}
	if err != nil {
		x.session.Close()
		return nil, err
	}
	return x, nil
}

// run probes or waits, and judges.
func (x *explanation) run(ctx context.Context) (*diagnose.Report, error) {
	wctx, cancel := context.WithTimeout(ctx, x.req.Timeout)
	defer cancel()
	if x.Kernel {
		x.watchKernel(wctx)
	}
	if !x.req.Passive {
		x.flow.Probe.Sent = true
		if err := x.session.Start(wctx, observe.NewAttempt(x.probe), observe.Selection{}); err != nil {
			return nil, err
		}
	}
	x.session.Run(wctx, x)
	v := x.judge()
	if v.Healthy() && x.Kernel && !x.req.Passive {
		if x.facts.PathMTU = x.measure(ctx); x.facts.PathMTU != nil {
			v = x.judge()
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := x.report(v, time.Now())
	x.addFindings(ctx, r)
	return r, nil
}

// explanation is one run of Explain.
type explanation struct {
	Subject
	req     Request
	started time.Time
	session *observe.Session
	settled bool // the verdict was when it was last looked at
	// refused is the message whose refusal was looked into last.
	refused *probe.Event
	// recalled is the last handshake message that recall took, by its Seq.
	recalled uint64

	facts *diagnose.Facts
	col   *diagnose.Collector
	flow  *diagnose.Flow
	peer  probe.PeerID
	// behind is the peer that somebody else's target is behind, 0 for none.
	behind probe.PeerID
	// forwardedTo is what this host translates the target to, invalid if it was
	// not seen to.
	forwardedTo netip.AddrPort
	// kernel is nil where there is none below.
	kernel *kernelWatch
}

func (x *explanation) prepare() error {
	f, c, err := x.Subject.facts()
	if err != nil {
		return err
	}
	x.facts, x.col = f, c
	x.flow = &diagnose.Flow{Target: netip.AddrPortFrom(x.req.Target.Addr().Unmap(), x.req.Target.Port()), Source: x.req.From}
	f.Flow, c.Flow = x.flow, x.flow
	x.lacks(f)
	switch {
	case x.Kernel:
		x.flow.Route = wayOf(x.flow.Target, x.proto(), 0, x.Interface)
	case x.Local != nil:
		x.flow.Route.Local = x.Local(x.flow.Target.Addr())
	}
	r, ok := x.Tunnel.Lookup(x.flow.Target.Addr())
	if !x.req.Passive {
		f.Side = diagnose.SideA
		if ok {
			x.choose(r.Peer)
		} else {
			f.Nearest = nearest(c.Peers, x.flow.Target.Addr())
		}
		k := ""
		if f.Peer != nil {
			k = f.Peer.Key
		}
		f.Changed = x.changed(f, x.flow.Target.Addr(), k)
		return nil
	}
	f.Side = diagnose.SideB
	f.Changed = x.changed(f, netip.Addr{}, "")
	if ok && !x.flow.Route.Local {
		x.behind = r.Peer
	}
	if x.behind != 0 && !x.inTunnel(x.req.From) {
		f.Side = diagnose.SideA
		x.choose(r.Peer)
	} else if p, ok := x.Tunnel.Lookup(x.req.From.Addr()); ok && x.req.From.IsValid() {
		x.passOn(p.Peer)
	}
	return nil
}

// passOn makes the peer that calls the one that the facts are about. If the
// target is behind another the flow is passed on to that.
func (x *explanation) passOn(from probe.PeerID) {
	x.facts.Side = diagnose.SideB
	x.choose(from)
	if x.behind == 0 || x.behind == from {
		return
	}
	onward := *x.facts
	onward.Side, onward.Kernel = diagnose.SideA, nil
	if x.Kernel {
		onward.Kernel = &evidence.KernelEvidence{}
	}
	onward.Peer = x.col.Peers[x.behind]
	x.facts.Onward = &onward
}

// inTunnel reports whether a prefix is behind a peer.
func (x *explanation) inTunnel(p netip.Prefix) bool {
	if !p.IsValid() {
		return false
	}
	_, ok := x.Tunnel.Lookup(p.Addr())
	return ok
}

// proto is the protocol of the flow, 0 if it may be more than one.
func (x *explanation) proto() uint8 {
	if all := x.requests(); len(all) == 1 {
		return all[0].Proto
	}
	return 0
}

// choose makes a peer the one that the facts are about.
func (x *explanation) choose(id probe.PeerID) {
	x.peer, x.facts.Peer = id, x.col.Peers[id]
	if x.facts.Side == diagnose.SideA && !x.req.Passive {
		x.col.Via = id
	}
	x.way()
}

// way asks where packets to the peer's endpoint go.
func (x *explanation) way() {
	if p := x.facts.Peer; x.Kernel && p != nil && p.Endpoint.IsValid() {
		p.Route = wayOf(p.Endpoint, probe.ProtoUDP, x.facts.FwMark, x.Interface)
	}
}

// probe sends what is then followed.
func (x *explanation) probe(ctx context.Context) error {
	if x.flow.Target.Port() == 0 {
		return x.Prober.Ping(ctx, x.flow.Target.Addr())
	}
	return x.Prober.Connect(ctx, x.flow.Target)
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
	v, _ := x.facts.Judge(time.Now())
	return v
}

func (x *explanation) report(v diagnose.Verdict, now time.Time) *diagnose.Report {
	r := &diagnose.Report{Interface: x.Interface, Target: probe.TargetText(x.flow.Target), Side: x.facts.Side, MTU: x.MTU,
		Verdict: v, Ladder: x.facts.Ladder(&v, x.started)}
	if p := x.facts.Peer; p != nil {
		r.Peer, r.PeerName, r.HandshakeAge = p.Key, p.Name, p.Handshake.Age(now)
	}
	if x.flow.Probe.Answered {
		r.RTT = x.flow.Probe.Took
	}
	if m := x.facts.PathMTU; m != nil {
		r.PathMTU = m.Largest
	}
	if on := x.facts.Onward; on != nil {
		r.Onward, r.OnwardName = on.Peer.Key, on.Peer.Name
	}
	return r
}
