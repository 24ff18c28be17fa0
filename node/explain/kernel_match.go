package explain

import (
	"net/netip"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// busyRate is how many packets a second are followed of what may be a lot.
const busyRate = 20

// matchesA selects what the side that asks sends and gets.
func (x *explanation) matchesA(add func(evidence.Segment, ...netfilter.Match)) {
	for _, forth := range x.requests() {
		if x.req.From.IsValid() {
			forth.Src = x.req.From
		}
		add(evidence.ToTunnel, sentBy(forth, x.id))
		add(evidence.FromTunnel, sentBy(reply(forth), x.flow.Client.Port()))
	}
	if p := x.facts.Peer; p != nil && p.Endpoint.IsValid() {
		out := netfilter.To(p.Endpoint, probe.ProtoUDP)
		out.SrcPort = x.facts.ListenPort
		add(evidence.ToWire, onlyLength(out, probe.LenInitiation), busy(out))
		add(evidence.FromWire, onlyLength(out.Reverse(), probe.LenResponse), busy(out.Reverse()))
	}
}

// matchesB selects what the side that is called gets and sends. Who calls may
// not be known yet.
func (x *explanation) matchesB(add func(evidence.Segment, ...netfilter.Match)) {
	for _, forth := range x.requests() {
		forth.In = x.Interface
		back := reply(forth) // to whatever the source is translated
		if x.req.From.IsValid() && x.inTunnel(x.req.From) {
			forth.Src = x.req.From
		}
		add(evidence.FromTunnel, forth)
		add(evidence.ToTunnel, back)
		if x.forwardedTo.IsValid() { // the answers come from there
			from := netfilter.To(x.forwardedTo, back.Proto)
			back.Src, back.SrcPort = from.Dst, from.DstPort
			add(evidence.ToTunnel, back)
		}
	}
	for _, all := range everybody {
		in := netfilter.Match{Src: all, Proto: probe.ProtoUDP, DstPort: x.facts.ListenPort}
		if x.req.From.IsValid() && !x.inTunnel(x.req.From) && x.req.From.Addr().Is4() == all.Addr().Is4() {
			in.Src = x.req.From
		}
		add(evidence.FromWire, onlyLength(in, probe.LenInitiation), busy(in))
		add(evidence.ToWire, onlyLength(in.Reverse(), probe.LenResponse), busy(in.Reverse()))
	}
}

// messages selects what comes and goes at the tunnel's port: all handshakes, and a few
// packets of data a second.
func messages(port uint16) observe.Selection {
	var sel observe.Selection
	for _, all := range everybody {
		in := netfilter.Match{Src: all, Proto: probe.ProtoUDP, DstPort: port}
		for _, length := range []uint16{probe.LenInitiation, probe.LenResponse} {
			sel.Add(evidence.FromWire, onlyLength(in, length))
			sel.Add(evidence.ToWire, onlyLength(in.Reverse(), length))
		}
		sel.Add(evidence.FromWire, busy(in))
		sel.Add(evidence.ToWire, busy(in.Reverse()))
	}
	return sel
}

// remoteOf is the other end of a message.
func remoteOf(pkt *observe.Packet) netip.AddrPort {
	if pkt.Match.On == evidence.ToWire {
		return pkt.First.Destination()
	}
	return pkt.First.Source()
}

// sentFrom is where a packet of this host itself goes, invalid of what it forwards.
func sentFrom(pkt *observe.Packet) (to netip.AddrPort) {
	if pkt.Match.On == evidence.ToWire && pkt.First.In == 0 {
		to = pkt.First.Destination()
	}
	return to
}

var everybody = []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}

func onlyLength(m netfilter.Match, payload uint16) netfilter.Match {
	m.Payload = payload
	return m
}

func busy(m netfilter.Match) netfilter.Match {
	m.Rate = busyRate
	return m
}

// requests selects the flow's packets towards the target.
func (x *explanation) requests() []netfilter.Match {
	switch t := x.flow.Target; {
	case t.Port() == 0 && t.Addr().Is4():
		return []netfilter.Match{netfilter.To(t, probe.ProtoICMP)}
	case t.Port() == 0:
		return []netfilter.Match{netfilter.To(t, probe.ProtoICMPv6)}
	case x.flow.UDP && x.req.Passive:
		return []netfilter.Match{busy(netfilter.To(t, probe.ProtoUDP))}
	case x.flow.UDP:
		return []netfilter.Match{netfilter.To(t, probe.ProtoUDP)}
	case x.req.Passive: // of other programs, perhaps a lot, and perhaps of UDP
		tcp := netfilter.To(t, probe.ProtoTCP)
		opening := tcp
		opening.Opening = true // not to be missed among the packets of a connection that is busy
		return []netfilter.Match{busy(opening), busy(tcp), busy(netfilter.To(t, probe.ProtoUDP))}
	default:
		return []netfilter.Match{netfilter.To(t, probe.ProtoTCP)}
	}
}

// sentBy narrows m to the packets of the client with this id, see [Ready], or to the answers
// that it gets; 0 is any.
func sentBy(m netfilter.Match, id uint16) netfilter.Match {
	switch {
	case id == 0:
	case m.Proto == probe.ProtoICMP || m.Proto == probe.ProtoICMPv6:
		m.ICMPID = new(id)
	case m.SrcPort == 0:
		m.SrcPort = id
	default:
		m.DstPort = id
	}
	return m
}

// reply selects the answers to what m selects, by whichever link they come.
func reply(m netfilter.Match) netfilter.Match {
	back := m.Reverse()
	back.In, back.Out = "", ""
	return back
}
