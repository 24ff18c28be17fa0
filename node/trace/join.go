//go:build linux

package trace

import (
	"fmt"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// joined is what of all events and traced packets is about the packet
// and its reply.
type joined struct {
	seen         [probe.A6 + 1]*probe.Event
	dropped      *probe.Event // inside of the device, on the way out
	sendError    *probe.Event
	networkError *probe.Event
	claim        *probe.Event // one that anybody could have sent
	innerError   *probe.Event

	out, in, sent, received, initiation, response *observe.Packet
	// unanswered are the initiations before that at A2, of the same attempt.
	unanswered []unanswered
	// complaint is an ICMP error about an encrypted packet.
	complaint *observe.Packet
	// sentOther and receivedOther say why another packet stands in.
	sentOther, receivedOther string
}

// complete reports whether nothing is missing of a walk that was answered.
func (j *joined) complete(x *run) bool {
	if j.seen[probe.A6] == nil {
		return false
	}
	if !x.traced() {
		return true
	}
	inner := !x.Kernel || j.out != nil && j.in != nil
	handshake := j.seen[probe.A2] == nil || j.initiation != nil && j.response != nil
	told := x.copies() || j.sentOther == "" && j.receivedOther == ""
	return inner && handshake && j.sent != nil && j.received != nil && told
}

// concerns selects the events to be read. It may select some too many.
func (x *run) concerns(e *probe.Event) bool {
	switch e.Kind {
	case probe.KindInitiation, probe.KindResponse, probe.KindCookie, probe.KindICMP:
		return e.Peer == x.peer
	case probe.KindInner, probe.KindData:
	default:
		return false
	}
	if e.Reason == probe.SendError {
		return e.Peer == x.peer
	}
	to := probe.AddrFrom(x.to.Addr())
	switch {
	case !e.HasAddrs():
		return false
	case x.copies() && untold(e):
		return e.Peer == x.peer
	case e.InnerDst == to && e.Proto == x.proto:
		return x.to.Port() == 0 || e.InnerDstPort == x.to.Port()
	case e.InnerSrc == to && e.Proto == x.proto:
		return x.to.Port() == 0 || e.InnerSrcPort == x.to.Port()
	}
	return e.ICMPError() && e.Peer == x.peer
}

// join picks what is about the packet.
func (x *run) join() *joined {
	j := new(joined)
	ids := map[uint16]bool{x.id: true}
	for _, p := range x.packets {
		switch on := p.Match.On; {
		case on == evidence.ToTunnel && j.out == nil:
			j.out = p
			ids[p.Last.SrcPort], ids[p.Last.ICMPID] = true, true // it may be translated
		case on == evidence.FromTunnel && j.in == nil:
			j.in = p
		case p.Match.Quoted && j.complaint == nil:
			j.complaint = p
		}
	}
	delete(ids, 0)
	for i := range x.events {
		j.add(x, &x.events[i], ids)
	}
	if x.copies() {
		j.likely(x)
	}
	j.handshake(x)
	j.sent, j.sentOther = x.encrypted(evidence.ToWire, j.seen[probe.A4])
	j.received, j.receivedOther = x.encrypted(evidence.FromWire, j.seen[probe.A5])
	if x.copies() {
		j.guessed(x)
	}
	if j.received == nil && j.seen[probe.A4] != nil && j.seen[probe.A5] == nil {
		j.received, j.receivedOther = x.likelyReply(j.seen[probe.A4])
	}
	return j
}

// add takes one event into account. The first of a kind counts: what comes again
// was sent again.
func (j *joined) add(x *run, e *probe.Event, ids map[uint16]bool) {
	set := func(cp probe.Checkpoint) {
		if j.seen[cp] == nil {
			j.seen[cp] = e
		}
	}
	mine := func(id uint16) bool { return len(ids) == 0 || ids[id] }
	to := probe.AddrFrom(x.to.Addr())
	switch {
	case e.Kind == probe.KindICMP:
		if e.Claimed() {
			j.claim = e
		} else if j.networkError == nil {
			j.networkError = e
		}
	case e.Reason == probe.SendError:
		j.sendError = e
	case e.Kind != probe.KindInner && e.Kind != probe.KindData:
	case e.InnerDst == to && e.Proto == x.proto && mine(e.InnerSrcPort):
		switch a1 := j.seen[probe.A1]; {
		case e.Seam == probe.SeamTUNRead:
			set(probe.A1)
		case e.Dropped() && a1 != nil:
			j.dropped = e
		case e.Seam == probe.SeamUDPSend && a1 != nil && (e.Pair == a1.Seq || e.Pair == 0):
			set(probe.A4)
		}
	case e.InnerSrc == to && e.Proto == x.proto && mine(replyID(e)):
		j.back(e, set)
	case e.ICMPError() && e.Seam == probe.SeamTUNWrite && j.seen[probe.A1] != nil && x.about(e, mine):
		set(probe.A6)
		if j.innerError == nil {
			j.innerError = e
		}
		for i := range x.events { // the message that it came in
			if m := &x.events[i]; m.Seam == probe.SeamUDPReceive && m.Kind == probe.KindData && m.Seq == e.Pair {
				j.back(m, set)
			}
		}
	}
}

// about reports whether an ICMP error is about the packet.
func (x *run) about(e *probe.Event, mine func(id uint16) bool) bool {
	proto, src, dst, ok := e.Quoted()
	return ok && proto == x.proto && mine(src.Port()) && dst.Addr() == x.to.Addr() && (x.to.Port() == 0 || dst.Port() == x.to.Port())
}

// back takes an event of the reply into account.
func (j *joined) back(e *probe.Event, set func(probe.Checkpoint)) {
	switch e.Seam {
	case probe.SeamUDPReceive:
		set(probe.A5)
	case probe.SeamTUNWrite:
		set(probe.A6)
	}
}

// replyID is what a reply has in the place of the packet's id.
func replyID(e *probe.Event) uint16 {
	if e.Proto == probe.ProtoTCP {
		return e.InnerDstPort
	}
	return e.InnerSrcPort
}

// encrypted finds the encrypted packet of an event among those that the kernel
// showed: every one begins with the receiver's index and a counter. If it is not
// there another one of the session stands in, of the same length if possible, and
// other says so.
func (x *run) encrypted(on evidence.Segment, e *probe.Event) (found *observe.Packet, other string) {
	if e == nil {
		return nil, ""
	}
	for _, p := range x.packets {
		d := &p.Last.Data
		if p.Match.On != on || d[0] != probe.TypeData || index(d[4:]) != e.Receiver {
			continue
		}
		counter := index(d[8:])
		if counter == uint32(e.Counter) {
			return p, ""
		}
		if found == nil || found.First.Payload() != int(e.OuterLen) && p.First.Payload() == int(e.OuterLen) {
			found = p
			other = fmt.Sprintf("the packet itself was not seen apart from others; this is one of the same session, counter %d", counter)
		}
	}
	return found, other
}

// someAnswer says of an encrypted packet that it stands in for the reply.
const someAnswer = "it is encrypted: an answer of the same peer; whether it is the reply cannot be known"

// likelyReply finds what may be the reply among the packets that this host did
// not deliver. What is in them cannot be read.
func (x *run) likelyReply(sent *probe.Event) (*observe.Packet, string) {
	var found *observe.Packet
	for _, p := range x.packets {
		if p.Match.On != evidence.FromWire || p.Last.Data[0] != probe.TypeData || p.Incomplete ||
			p.Time.Before(sent.When()) || p.Fate().Outcome == netfilter.Passed ||
			x.whose(p.Last.Data[:], false) != x.peer {
			continue
		}
		if x.replyLength(p.First.Payload()) {
			return p, fmt.Sprintf("it is encrypted; its length of %d bytes and its time are the reply's", p.First.Payload())
		}
		if found == nil {
			found = p
		}
	}
	if found == nil {
		return nil, ""
	}
	return found, someAnswer
}
