package diagnose

import (
	"fmt"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file judges by what the kernel was seen to do with encrypted packets.

// wireOutDropped: the encrypted packet does not get out. The socket says so
// too, see cannotSend, unless a hook drops it so that nobody notices.
func (f *Facts) wireOutDropped(time.Time) *Ruling {
	p := f.traversal(ToWire)
	if p.Drop == nil || f.works() || f.Side == SideA && f.Peer == nil {
		return nil
	}
	v := dropVerdict(UnderlayOutputFirewall, f.sentAt(p.Drop), p.Drop, "the encrypted packets to "+p.Dst.String())
	return final(v)
}

// sentAt is the checkpoint that an encrypted packet which was dropped on its way
// out did not get past. On the side that is called data may be what is sent once more
// in a session that the peer has lost; a reply takes a request.
func (f *Facts) sentAt(d *Drop) probe.Checkpoint {
	switch data := d != nil && d.Data; {
	case f.Side == SideB && data && (f.Flow == nil || f.Flow.Seen[probe.B4] != nil):
		return probe.B8
	case f.Side == SideB:
		return probe.B2
	case data:
		return probe.A4
	}
	return probe.A2
}

// works reports whether something came back from the peer while this was
// watched, so that single drops on the way are no fault.
func (f *Facts) works() bool {
	return f.Flow != nil && f.Flow.works() || f.Flow == nil && f.Peer != nil && f.Peer.Handshake.EstablishedNow
}

// wireInDropped: encrypted packets arrive, and this host drops them.
func (f *Facts) wireInDropped(now time.Time) *Ruling {
	p := f.traversal(FromWire)
	if p.Drop == nil || f.works() || f.Side == SideB && f.Flow != nil && f.Flow.Seen[probe.B3] != nil {
		return nil
	}
	v := dropVerdict(UnderlayInputFirewall, f.missedAt(p.Drop.Data, now), p.Drop, fmt.Sprintf("encrypted packets from %s", p.Src))
	return final(v)
}

// missedAt is the checkpoint that an encrypted packet did not come to which this host
// has dropped, where data tells that it was no message of a handshake. The peer may
// still send data of a session that this node has lost: what is missing without a
// session is a handshake.
func (f *Facts) missedAt(data bool, now time.Time) probe.Checkpoint {
	data = data && f.Peer != nil && f.Peer.Handshake.Alive(now)
	switch {
	case f.Side == SideB && data:
		return probe.B3
	case f.Side == SideB:
		return probe.B2
	case data:
		return probe.A5
	}
	return probe.A3
}

// wireInRefused: encrypted packets arrive, pass the firewall, and something behind it
// does not let the socket have them.
func (f *Facts) wireInRefused(now time.Time) *Ruling {
	p := f.traversal(FromWire)
	if p.Passed != "input" || p.Drop != nil || f.works() || f.Side == SideB && f.Flow != nil && f.Flow.Seen[probe.B3] != nil {
		return nil
	}
	if f.Peer != nil && f.Peer.Handshake.heard() {
		return nil
	}
	return blocked(p, UnderlayInputFirewall, f.missedAt(!p.DataAt.IsZero() && !p.DataAt.Before(p.At), now),
		fmt.Sprintf("encrypted packets from %s", p.Src), "they pass the input hook, and none came to the tunnel's socket")
}

// wireInFiltered: encrypted packets arrive, and the check of their source
// drops them.
func (f *Facts) wireInFiltered(time.Time) *Ruling {
	p := f.traversal(FromWire)
	if f.works() {
		return nil
	}
	at := probe.A3
	if f.Side == SideB {
		at = probe.B2
	}
	return filtered(p, at, fmt.Sprintf("encrypted packets from %s", p.Src))
}

// replyElsewhere: the answer to a handshake leaves by another link than the
// initiation came in by.
func (f *Facts) replyElsewhere(now time.Time) *Ruling {
	p := f.Peer
	in, out := f.traversal(FromWire), f.traversal(ToWire)
	if p == nil || p.Handshake.Answered < 2 || in.In == "" || out.Drop != nil {
		return nil
	}
	r := &p.Route
	elsewhere := out.Out
	if elsewhere == "" || elsewhere == in.In { // the socket answers out of the link that the call came in by
		if elsewhere = r.Interface; r.Kind != RouteFound {
			elsewhere = r.Kind.String()
		}
	}
	if elsewhere == in.In || r.Kind == RouteUnknown {
		return nil
	}
	to := f.outerTarget(p.Handshake.LastAnswered)
	return &Ruling{Verdict{Code: ReplyLeavesElsewhere, Checkpoint: probe.B2, Where: WhereHere, Certain: true,
		Summary: fmt.Sprintf("%s's packets arrive on %s, but replies would leave via %s", p.label(), in.In, elsewhere),
		Evidence: []string{fmt.Sprintf("%d initiations came in on %s, and none of the answers to them led to data", p.Handshake.Answered, in.In),
			fmt.Sprintf("ip route get %s%s: %s", p.Endpoint.Addr(), f.markText(), p.Route.Describe())},
		Fix: append(fix.Steps{fix.Note("lead answers to " + to + " out of " + in.In + ":")},
			routeFix(r, fix.Command("ip route add %s via GATEWAY dev %s", hostPrefix(p.Endpoint.Addr()), in.In))...)}, f.current(p.Handshake.LastAnswered, now)}
}
