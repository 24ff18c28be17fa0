//go:build linux

package trace

import (
	"fmt"

	"github.com/wgnode/wgnode/probe"
)

// This file is about tunnels of which copies of packets tell alone: not which packet is in which
// message. One of the right length at the right time stands in for it, and is said to.

// copies reports whether it is not told which message has a packet.
func (x *run) copies() bool { return x.facts != nil && x.facts.Level.Copies() }

// untold reports whether it is not told what is in a message.
func untold(e *probe.Event) bool { return e.Kind == probe.KindData && e.InnerDst == (probe.Addr{}) }

// messageLen is the length of a message with a packet in it.
func messageLen(inner *probe.Event) uint16 {
	return uint16(min(probe.LenKeepalive+(int(inner.InnerLen)+15)/16*16, 1<<16-1))
}

// likely picks messages that may have the packet and its reply: the first one of the packet's
// length that left after it has entered the tunnel, and of the reply's length the last that
// came before that has left it.
func (j *joined) likely(x *run) {
	a1, a6 := j.seen[probe.A1], j.seen[probe.A6]
	if a1 == nil {
		return
	}
	of := func(e *probe.Event, seam probe.Seam) bool {
		return e.Kind == probe.KindData && e.Seam == seam && e.Peer == x.peer && !e.Dropped() && untold(e)
	}
	for i := range x.events {
		e := &x.events[i]
		a4 := j.seen[probe.A4]
		switch {
		case a4 == nil && of(e, probe.SeamUDPSend) && e.Time >= a1.Time && e.OuterLen == messageLen(a1):
			j.seen[probe.A4] = e
		case a4 == nil || !of(e, probe.SeamUDPReceive) || e.Time < a4.Time:
		case a6 != nil && e.Time <= a6.Time && e.OuterLen == messageLen(a6),
			a6 == nil && j.seen[probe.A5] == nil && x.replyLength(int(e.OuterLen)):
			j.seen[probe.A5] = e
		}
	}
}

// guessed says of the encrypted packets of such messages that they stand in.
func (j *joined) guessed(x *run) {
	for _, o := range []struct {
		e     *probe.Event
		other *string
	}{{j.seen[probe.A4], &j.sentOther}, {j.seen[probe.A5], &j.receivedOther}} {
		if o.e != nil && untold(o.e) && *o.other == "" {
			*o.other = fmt.Sprintf("level %s does not show which message has the packet: this one has its length and its time", x.facts.Level)
		}
	}
}
