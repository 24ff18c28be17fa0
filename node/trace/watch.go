//go:build linux

package trace

import (
	"context"
	"slices"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// How many packets a second are traced at most, of those that have the length of
// ours, and of any others that may stand in for it.
const (
	alikeRate = 200
	otherRate = 10
)

// watch begins to follow packets through netfilter, if that is possible here.
func (x *run) watch(ctx context.Context) {
	var sel observe.Selection
	if x.Kernel {
		forth := x.forth()
		sel.Add(evidence.ToTunnel, forth)
		sel.Add(evidence.FromTunnel, forth.Reverse())
	}
	if ep := x.facts.Peer.Endpoint; ep.IsValid() {
		to := netfilter.To(ep, probe.ProtoUDP)
		to.SrcPort = x.facts.ListenPort
		from := to.Reverse()
		for _, length := range x.lengths() {
			sel.Add(evidence.ToWire, alike(to, length))
			sel.Add(evidence.FromWire, alike(from, length))
		}
		to.Rate, from.Rate = otherRate, otherRate
		sel.Add(evidence.ToWire, to)
		sel.Add(evidence.FromWire, from)
		to.Quoted = true // an ICMP error about an encrypted packet
		sel.Add(evidence.FromWire, to)
	}
	if len(sel.Packets) == 0 {
		x.kernel = &evidence.KernelEvidence{Blind: "no peer has an endpoint"}
		return
	}
	x.kernel = x.session.WatchKernel(ctx, sel)
}

// traced reports whether packets are followed through netfilter.
func (x *run) traced() bool { return x.kernel != nil && x.kernel.Blind == "" }

func alike(m netfilter.Match, payload int) netfilter.Match {
	m.Payload, m.Rate = uint16(payload), alikeRate
	return m
}

// forth selects the packet itself.
func (x *run) forth() netfilter.Match {
	m := netfilter.To(x.to, x.proto)
	if x.proto == probe.ProtoTCP {
		m.SrcPort = x.id
	} else {
		m.ICMPID = new(x.id)
	}
	return m
}

// lengths are those of the datagrams that are ours: the encrypted packet and its
// reply, and a handshake.
func (x *run) lengths() []int {
	return append(x.innerLengths(), probe.LenInitiation, probe.LenResponse)
}

// innerLengths are those of the datagrams that carry the packet or its reply.
func (x *run) innerLengths() []int {
	var inner []int
	switch v4 := x.to.Addr().Is4(); {
	case x.proto == probe.ProtoICMP:
		inner = []int{echoLen4}
	case x.proto == probe.ProtoICMPv6:
		inner = []int{echoLen6}
	case v4:
		inner = []int{synLen4, rstLen4}
	default:
		inner = []int{synLen6, rstLen6}
	}
	for i, n := range inner {
		inner[i] = probe.LenKeepalive + (n+15)/16*16
	}
	return inner
}

func (x *run) replyLength(n int) bool { return slices.Contains(x.innerLengths(), n) }

// take keeps a traced packet.
func (x *run) take(p *observe.Packet) {
	for _, was := range slices.Backward(x.packets) {
		if was.GoOn(p) {
			return
		}
	}
	x.packets = append(x.packets, p)
}

// limits says what a trace may have missed on this host.
func (x *run) limits() []string {
	return append(x.recorder.Unseen(), x.kernel.Missed()...)
}
