//go:build linux

package trace

import (
	"cmp"
	"fmt"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/host/routing"
	"github.com/wgnode/wgnode/probe/walk"
)

// gather turns what was observed into facts.
func (x *run) gather() *walk.Facts {
	j := x.join()
	f := &walk.Facts{Interface: x.Interface, Level: x.facts.Level, Target: probe.TargetText(x.to), Peer: x.facts.Peer.KeyText(),
		PeerName: x.facts.Peer.Name, Stack: !x.Kernel, Blind: x.kernel.Blind, Limits: x.limits(), Seen: j.seen, Answer: x.answer,
		Out: traversal(j.out), In: traversal(j.in), Sent: traversal(j.sent), Received: traversal(j.received),
		Initiation: traversal(j.initiation), Response: traversal(j.response), Unanswered: j.attempts(),
		SentOther: j.sentOther, ReceivedOther: j.receivedOther}
	f.Packet = x.packet(j, f.Out)
	x.addDrops(f)
	if j.dropped != nil && f.Seen[probe.A4] == nil {
		f.Seen[probe.A4] = j.dropped
	}
	if e := j.sendError; e != nil {
		f.SendError = e.Errno().Error()
	}
	if e := j.networkError; e != nil {
		f.NetworkError = networkError(e)
	} else if p := j.complaint; p != nil {
		f.NetworkError = fmt.Sprintf("ICMP error from %s, type %d code %d", p.First.Src, p.First.ICMPType, p.First.ICMPCode)
		f.Complaint = traversal(p)
	}
	if e := j.claim; e != nil {
		f.Claim = networkError(e)
	}
	if e := j.innerError; e != nil {
		src, _ := e.Inner()
		typ, code, _ := e.ICMP()
		f.InnerError = fmt.Sprintf("ICMP error from %s, type %d code %d", src.Addr(), typ, code)
		if why, ok := e.NodeSays(); ok {
			f.InnerError += fmt.Sprintf(": the node there dropped it (%s)", why)
		}
	}
	if x.Kernel {
		x.innerRoutes(f, j)
	}
	if x.facts.Peer.Endpoint.IsValid() {
		f.Outer = x.outerRoute(j)
	}
	return f
}

// traversal is what netfilter and routing did with a packet, nil if it was not seen.
func traversal(p *observe.Packet) *evidence.Traversal {
	if p == nil {
		return nil
	}
	t := p.Traversal(nil)
	t.Visits = p.Met()
	if a, ok := p.Arrive(); ok {
		t.Source = a.Source()
	}
	return &t
}

// packet says in words what was sent.
func (x *run) packet(j *joined, out *evidence.Traversal) string {
	switch e := j.seen[probe.A1]; {
	case out != nil:
		return out.Packet
	case e != nil && x.to.Port() == 0:
		src, _ := e.Inner()
		return fmt.Sprintf("%s echo request %s > %s, %d bytes", probe.ProtocolName(x.proto), src.Addr(), x.to.Addr(), e.InnerLen)
	case e != nil:
		src, dst := e.Inner()
		return fmt.Sprintf("%s %s > %s, %d bytes", probe.ProtocolName(x.proto), src, dst, e.InnerLen)
	}
	return probe.ProtocolName(x.proto) + " to " + probe.TargetText(x.to)
}

// networkError words an ICMP error about an encrypted packet.
func networkError(e *probe.Event) string {
	from, _ := e.Outer()
	if _, _, ok := e.ICMP(); !ok {
		return "this host's kernel answers: " + e.Reason.String()
	}
	return fmt.Sprintf("%s from %s", e.Reason, from.Addr())
}

// innerRoutes looks up where the packet goes, also after output has marked it.
func (x *run) innerRoutes(f *walk.Facts, j *joined) {
	flow := routing.Flow{Dst: x.to.Addr(), Proto: x.proto, DPort: x.to.Port()}.Own()
	if x.proto == probe.ProtoTCP {
		flow.SPort = x.id
	}
	if j.out == nil {
		f.Inner = route(flow)
		return
	}
	flow.Mark = j.out.First.Mark
	f.Inner = route(flow)
	if f.Inner != nil {
		f.Inner.Steps = append(f.Inner.Steps, fmt.Sprintf("source: %s", j.out.First.Src))
	}
	if mark, ok := remarked(j.out.Packet); ok {
		flow.Mark, flow.Src = mark, j.out.First.Src
		f.Rerouted = route(flow)
	}
}

// remarked returns the mark that a chain of type route gave a packet in output,
// which has the kernel look up its route again.
func remarked(p *netfilter.Packet) (mark uint32, ok bool) {
	was := p.First.Mark
	for i := range p.Visits {
		v := &p.Visits[i]
		if v.Chain.Hook != netfilter.Output || len(v.Steps) == 0 {
			continue
		}
		now := v.Steps[len(v.Steps)-1].Mark
		if now != was && v.Chain.Type == "route" {
			mark, ok = now, true
		}
		was = now
	}
	return mark, ok
}

// outerRoute looks up where the encrypted packet goes.
func (x *run) outerRoute(j *joined) *evidence.RouteDecision {
	ep := x.facts.Peer.Endpoint
	if e := j.seen[probe.A4]; e != nil {
		_, ep = e.Outer()
	}
	flow := routing.Flow{Dst: ep.Addr(), Proto: probe.ProtoUDP, SPort: x.facts.ListenPort, DPort: ep.Port(), Mark: x.facts.FwMark}.Own()
	if p := cmp.Or(j.sent, j.initiation); p != nil {
		flow.Src, flow.Mark = p.First.Src, p.First.Mark
	}
	return route(flow)
}

// route asks routing for a decision and its reasons. It returns nil if the routes
// cannot be read.
func route(flow routing.Flow) *evidence.RouteDecision {
	tables, w, err := routing.Explain(flow)
	if err != nil {
		return nil
	}
	r := tables.Evidence(&w)
	r.Steps = w.Account()
	r.Neighbor, _ = tables.Neighbor(&w)
	return &r
}
