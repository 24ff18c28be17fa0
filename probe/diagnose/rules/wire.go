package rules

import (
	"cmp"
	"fmt"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file judges by what the kernel was seen to do with encrypted packets.

// wireOutDropped: the encrypted packet does not get out. The socket says so
// too, see cannotSend, unless a hook drops it so that nobody notices.
func (f facts) wireOutDropped(time.Time) *ruling {
	p := f.Kernel.On(evidence.ToWire)
	if p.Drop == nil || p.Claimed() || f.works() || f.Side == probe.SideA && f.Peer == nil {
		return nil
	}
	v := dropVerdict(diagnose.UnderlayOutputFirewall, f.sentAt(p.Drop), p.Drop, "the encrypted packets to "+p.Dst.String())
	return final(v)
}

// sentAt is the checkpoint that an encrypted packet which was dropped on its way
// out did not get past. On the side that is called data may be what is sent once more
// in a session that the peer has lost; a reply takes a request.
func (f facts) sentAt(d *evidence.Drop) probe.Checkpoint {
	switch data := d != nil && d.Data; {
	case f.Side == probe.SideB && data && (f.Flow == nil || f.Flow.Seen[probe.B4] != nil):
		return probe.B8
	case f.Side == probe.SideB:
		return probe.B2
	case data:
		return probe.A4
	}
	return probe.A2
}

// works reports whether something came back from the peer while this was
// watched, so that single drops on the way are no fault.
func (f facts) works() bool {
	return f.Flow != nil && f.Flow.Works() || f.Flow == nil && f.Peer != nil && f.Peer.Handshake.EstablishedNow
}

// worksIn is works as to what comes from the peer: not if this host has dropped a message of
// a handshake of its, and nothing has come from it since. The session that stands is one that
// the peer has no more, then.
func (f facts) worksIn(data bool, at time.Time) bool {
	return f.works() && (f.Flow != nil || data || !at.After(f.Peer.Heard))
}

// arrived reports whether a message that may hold the flow's request has come to the tunnel of
// the host that is called.
func (f facts) arrived() bool {
	return f.Side == probe.SideB && f.Flow != nil && (f.Flow.Seen[probe.B3] != nil || f.Level.Copies() && f.Flow.Seen[probe.B4] != nil)
}

// latestIsData reports whether the latest packet is no message of a handshake.
func latestIsData(p *evidence.Traversal) bool {
	t := p.Times()
	return !t.DataAt.IsZero() && !t.DataAt.Before(t.At)
}

// wireInDropped: the peer's encrypted packets arrive, and this host drops them.
func (f facts) wireInDropped(now time.Time) *ruling { return f.proven(f.droppedIn(now)) }

// proven is a ruling on encrypted packets that came in, if they are known to be the peer's.
func (f facts) proven(r *ruling) *ruling {
	p := f.Kernel.On(evidence.FromWire)
	if r == nil || p.Claimed() {
		return nil
	}
	switch who := cmp.Or(p.Peer, f.Peer.Label()); p.Whose {
	case evidence.Authenticated:
		r.Evidence = append(r.Evidence, p.Whose.Decides("the initiation was read as it came in: %s made it", who))
	case evidence.Secret:
		r.Evidence = append(r.Evidence, p.Whose.Decides("it has an index that only %s can know, and who is on the path to it", who))
	}
	return r
}

func (f facts) droppedIn(now time.Time) *ruling {
	p := f.Kernel.On(evidence.FromWire)
	if p.Drop == nil || f.worksIn(p.Drop.Data, p.Times().At) || f.arrived() {
		return nil
	}
	v := dropVerdict(diagnose.UnderlayInputFirewall, f.missedAt(p.Drop.Data, now), p.Drop, fmt.Sprintf("encrypted packets from %s", p.Src))
	return final(v)
}

// missedAt is the checkpoint that an encrypted packet did not come to which this host
// has dropped, where data tells that it was no message of a handshake. The peer may
// still send data of a session that this node has lost: what is missing without a
// session is a handshake.
func (f facts) missedAt(data bool, now time.Time) probe.Checkpoint {
	data = data && f.Peer != nil && f.Peer.Handshake.Alive(now)
	switch {
	case f.Side == probe.SideB && data:
		return probe.B3
	case f.Side == probe.SideB:
		return probe.B2
	case data:
		return probe.A5
	}
	return probe.A3
}

// wireInRefused: the peer's encrypted packets arrive, pass the firewall, and something behind
// it does not let the socket have them.
func (f facts) wireInRefused(now time.Time) *ruling { return f.proven(f.refusedIn(now)) }

func (f facts) refusedIn(now time.Time) *ruling {
	p := f.Kernel.On(evidence.FromWire)
	data, at := latestIsData(p), p.Times().At
	if p.Passed != "input" || p.Drop != nil || f.worksIn(data || now.Sub(at) < answerTime, at) {
		return nil
	}
	if f.arrived() {
		return nil
	}
	if f.Peer != nil && (heard(&f.Peer.Handshake) || f.Flow != nil && f.Peer.Handshake.EstablishedNow) {
		return nil
	}
	return f.blocked(p, diagnose.UnderlayInputFirewall, f.missedAt(data, now),
		fmt.Sprintf("encrypted packets from %s", p.Src),
		f.seen(evidence.Kernel).Decides("netfilter trace: they pass the input hook, and none came to the tunnel's socket"))
}

// wireInFiltered: the peer's encrypted packets arrive, and the check of their source
// drops them.
func (f facts) wireInFiltered(now time.Time) *ruling { return f.proven(f.filteredIn(now)) }

func (f facts) filteredIn(now time.Time) *ruling {
	p := f.Kernel.On(evidence.FromWire)
	data, came := latestIsData(p), p.Times().At
	if f.worksIn(data || now.Sub(came) < answerTime, came) {
		return nil
	}
	at := f.missedAt(data, now)
	if r := overruled(p, at, fmt.Sprintf("encrypted packets from %s", p.Src)); r != nil {
		return r
	}
	at = probe.A3
	if f.Side == probe.SideB {
		at = probe.B2
	}
	return filtered(p, at, fmt.Sprintf("encrypted packets from %s", p.Src))
}

// replyElsewhere: the answer to a handshake leaves by another link than the
// initiation came in by.
func (f facts) replyElsewhere(now time.Time) *ruling {
	p := f.Peer
	in, out := f.Kernel.On(evidence.FromWire), f.Kernel.On(evidence.ToWire)
	if p == nil || p.Handshake.Answered < 2 || in.In == "" || in.Claimed() || out.Drop != nil {
		return nil
	}
	r := &p.Route
	elsewhere := out.Out
	if elsewhere == "" || elsewhere == in.In { // the socket answers out of the link that the call came in by
		if elsewhere = r.Interface; r.Kind != evidence.RouteFound {
			elsewhere = r.Kind.String()
		}
	}
	if elsewhere == in.In || r.Kind == evidence.RouteUnknown {
		return nil
	}
	to := f.outerTarget(p.Handshake.LastAnswered)
	return &ruling{diagnose.Verdict{Code: diagnose.ReplyLeavesElsewhere, Checkpoint: probe.B2, Where: diagnose.WhereHere,
		Summary: fmt.Sprintf("%s's packets arrive on %s, but replies would leave via %s", p.Label(), in.In, elsewhere),
		Evidence: []evidence.Line{f.seen(evidence.Kernel).Decides("%d initiations came in on %s, and none of the answers to them "+
			"led to data", p.Handshake.Answered, in.In),
			evidence.Kernel.Decides("ip route get %s%s: %s", p.Endpoint.Addr(), f.markText(), p.Route.Describe())},
		Fix: append(fix.Steps{fix.Note("lead answers to " + to + " out of " + in.In + ":")},
			routeFix(r, in.In, fix.Command("ip route add %s via GATEWAY dev %s", hostPrefix(p.Endpoint.Addr()), in.In))...)},
		f.current(p.Handshake.LastAnswered, now)}
}

// wireInClaimed: this host drops packets to the tunnel's port that may be the peer's, or
// anybody's.
func (f facts) wireInClaimed(now time.Time) *ruling {
	p := f.Kernel.On(evidence.FromWire)
	var r *ruling
	src := p.Src
	switch d := p.KernelDrop; {
	case p.Claimed():
		r = cmp.Or(f.droppedIn(now), f.filteredIn(now), f.refusedIn(now))
	case d != nil && d.Claimed:
		r, src = f.kernelIn(now), d.Src
	}
	if r == nil {
		return nil
	}
	r.settled = false
	who := f.Peer.Label()
	r.Evidence = append(r.Evidence, evidence.Claimed.Decides("%s may be %s, or anybody in its place: "+
		"nothing in the packet shows who has sent it", src, who))
	r.Candidates = []diagnose.Candidate{
		diagnose.Maybe(r.Code, "on %s, tcpdump -ni any udp dst port %d: does it send? If %s is its address as seen from here, "+
			"these are its packets", who, f.ListenPort, src.Addr()),
		diagnose.Maybe(diagnose.NoResponse, "if %s does not send, or sends from another address, they are a stranger's; on it: wgnode doctor",
			who)}
	return r
}

// orClaimed adds to a verdict that something is missing what was dropped here that may be it.
func (f facts) orClaimed(v *diagnose.Verdict, now time.Time) {
	if r := f.wireInClaimed(now); r != nil {
		v.Evidence = append(v.Evidence, evidence.Claimed.Says("%s, or what anybody sends in their place", r.Summary))
		v.Candidates = append(r.Candidates[:1], v.Candidates...)
	}
}

// heard reports whether any message of the peer's has come in.
func heard(h *diagnose.Handshake) bool {
	return h.Rejected+h.Stale+h.Cookies+h.Received > 0
}
