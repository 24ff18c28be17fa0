package explain

import (
	"context"
	"slices"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/diagnose/rules"
	"github.com/wgnode/wgnode/probe/evidence"
)

// Add implements [observe.Policy].
func (x *explanation) Add(o *observe.Observation) {
	switch {
	case o.Packet != nil:
		x.addPacket(o.Packet)
	case o.Dropped != nil:
		x.addDrop(o.Dropped)
	case o.Initiation != nil:
		x.kernel.whose.heard(o.Initiation)
	case o.Outcome != nil:
		x.flow.Probe = probed(o.Outcome)
		if x.Kernel && x.flow.Probe.Errno == syscall.EPERM {
			x.flow.XfrmBlocks = observe.SendBlocks(x.flow.Target, x.proto())
		}
	default:
		for i := range o.Events {
			was := x.flow.Client
			if x.addEvent(&o.Events[i]); x.flow.Client != was && x.req.Passive && x.kernel != nil {
				x.turn()
			}
		}
	}
}

// Look implements [observe.Policy]. Where nothing that has yet to happen can change the verdict,
// what the sources have yet to report still may: then it is another one, and is to be asked about
// once more.
func (x *explanation) Look(ctx context.Context) observe.State {
	x.update(ctx)
	was := x.stood
	x.stood = place{}
	v, settled := rules.Judge(x.facts, time.Now())
	if !settled || x.req.Passive && x.facts.Side == probe.SideA && !x.noticed() ||
		x.col.FollowsOld() && time.Since(x.started) < awaitNew {
		return observe.Open
	}
	x.stood = place{v.Code, v.Checkpoint}
	if (was == place{} || was == x.stood) && (x.complete(&v) || rules.Ended(x.facts, &v)) {
		return observe.Complete
	}
	return observe.Settled
}

// noticed reports whether anything of the flow was seen. Whose it is may only
// then be known: it may come from another peer. What was between its receipt and here
// when the watch began does not count: the next packet of it is seen whole.
func (x *explanation) noticed() bool {
	seen := slices.DeleteFunc(append(x.flow.Seen[:], x.flow.Dropped), func(e *probe.Event) bool { return e == nil })
	if len(seen) > 0 {
		return !slices.ContainsFunc(seen, x.ofAnother)
	}
	if x.facts.Kernel == nil {
		return false
	}
	p := &x.facts.Kernel.ToTunnel
	return p.Packets > 0 && p.In != x.Interface // of what comes from a peer there is an event, if it counts
}

// ofAnother reports whether a packet of the flow is one that another peer sent, or is to
// get.
func (x *explanation) ofAnother(e *probe.Event) bool {
	client, dst := e.Inner()
	if client.Addr() == x.flow.Target.Addr() || e.ICMPError() {
		client = dst
	}
	id := x.know.Lookup(client.Addr())
	return id != 0 && id != x.peer
}

// complete reports whether there is nothing more to wait for: each seam has
// seen the flow. Events of different seams may be read out of order.
func (x *explanation) complete(v *diagnose.Verdict) bool {
	missing := func(c probe.Checkpoint) bool { return c.OfFlow() && x.flow.Seen[c] == nil }
	return v.Healthy() && !slices.ContainsFunc(probe.Checkpoints(x.facts.Side), missing)
}

// update brings the facts up to date that no observation changes, and asks the peer for
// a sign of life where it is due.
func (x *explanation) update(ctx context.Context) {
	x.facts.Strangers = known(x.now, x.strangers(x.col.Strangers))
	if e := x.flow.Seen[probe.B4]; e != nil && x.facts.Side == probe.SideA && e.Peer != 0 {
		// It comes from a peer, and goes to one: look at both halves.
		x.passOn(e.Peer)
		if x.kernel != nil {
			x.watchKernel(ctx)
		}
	}
	if on := x.facts.Onward; on != nil {
		collect.Refresh(on.Peer, x.know.State(x.behind))
		if on.Peer.Route.Kind == evidence.RouteUnknown {
			x.route(on, on.Peer)
		}
	}
	if x.facts.Peer == nil && x.facts.Side == probe.SideB {
		if id := x.find(); id != 0 {
			x.passOn(id)
		}
	}
	if x.req.Passive {
		x.elsewhere()
	}
	x.owner()
	x.facts.Back, x.backOf = x.back(x.facts.Peer, x.facts.Back, x.backOf)
	if x.kernel != nil && x.translated && !x.followed {
		x.followed = true
		x.watchKernel(ctx)
	}
	if x.kernel != nil {
		x.kernel.whose.late(time.Now())
		x.kernel.update(x.facts)
		if to := x.kernel.forth.Destination(); x.facts.Side == probe.SideB && !x.forwardedTo.IsValid() && to.IsValid() && to != x.flow.Target {
			x.forwardedTo = to
			x.watchKernel(ctx)
		}
	}
	p := x.facts.Peer
	if p == nil {
		return
	}
	collect.Refresh(p, x.know.State(x.peer))
	if p.SendErrno != 0 || p.Route.Kind == evidence.RouteUnknown {
		x.route(x.facts, x.facts.Peer)
	}
	if from := sayer(p); x.Kernel && from != x.sayer {
		x.sayer = from
		p.ICMPHere = routeTo(from, probe.ProtoUDP, x.facts.FwMark, x.Interface).Local
	}
	if x.Kernel && p.SendErrno == syscall.EPERM && p.Endpoint.IsValid() && p.SendError != x.refused {
		x.refused = p.SendError // once for each that is refused
		p.XfrmBlocks = observe.SendBlocks(p.Endpoint, probe.ProtoUDP)
	}
	if x.facts.Side == probe.SideA && !x.req.Passive && x.unanswered() {
		// Within 5 s of the last handshake this does nothing, so it is asked
		// until one leaves. Failure to send is an event, as any other.
		_ = x.Tunnel.InitiateHandshake(x.Tunnel.PeerState(x.peer).Key)
	}
}

// unanswered reports whether the flow has had no answer for a while, and
// nothing has been heard of the peer meanwhile.
func (x *explanation) unanswered() bool {
	h := &x.facts.Peer.Handshake
	return x.flow.SentData > 0 && x.flow.Replies == 0 && time.Since(x.started) > askAgain &&
		h.Sent == 0 && !h.EstablishedNow
}
