package trace

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// role is which of the walk's packets a match selects.
type role uint8

const (
	toTunnel role = iota
	toWire
	fromWire
	fromTunnel
	fromRouter // an ICMP error about an encrypted packet
)

// How many packets a second are traced at most, of those that have the length of
// ours, and of any others that may stand in for it.
const (
	alikeRate = 200
	otherRate = 10
)

// watch begins to trace, if that is possible here.
func (x *run) watch() {
	var cfg netfilter.Config
	add := func(r role, m netfilter.Match) {
		cfg.Matches, x.roles = append(cfg.Matches, m), append(x.roles, r)
	}
	if x.Kernel {
		forth := x.forth()
		add(toTunnel, forth)
		add(fromTunnel, forth.Reverse())
	}
	if ep := x.state.endpoint; ep.IsValid() {
		to := netfilter.Match{Dst: single(ep.Addr()), Proto: probe.ProtoUDP, DstPort: ep.Port(), SrcPort: x.listenPort}
		from := to.Reverse()
		for _, length := range x.lengths() {
			add(toWire, alike(to, length))
			add(fromWire, alike(from, length))
		}
		to.Rate, from.Rate = otherRate, otherRate
		add(toWire, to)
		add(fromWire, from)
		to.Quoted = true
		add(fromRouter, to)
	}
	if len(cfg.Matches) == 0 {
		x.blind = "no peer has an endpoint"
		return
	}
	err := netfilter.Available()
	if err == nil {
		x.tracer, err = netfilter.Start(cfg)
	}
	if err != nil {
		x.blind = err.Error()
	}
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func alike(m netfilter.Match, payload int) netfilter.Match {
	m.Payload, m.Rate = uint16(payload), alikeRate
	return m
}

// forth selects the packet itself.
func (x *run) forth() netfilter.Match {
	m := netfilter.Match{Dst: single(x.to.Addr()), Proto: x.proto, DstPort: x.to.Port()}
	switch x.proto {
	case probe.ProtoTCP:
		m.SrcPort = x.id
	case probe.ProtoICMP:
		m.ICMPType, m.ICMPID = new(uint8(echo4)), new(x.id)
	case probe.ProtoICMPv6:
		m.ICMPType, m.ICMPID = new(uint8(echo6)), new(x.id)
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

// readPackets hands traced packets on until ctx ends.
func (x *run) readPackets(ctx context.Context, to chan<- *netfilter.Packet) {
	if x.tracer == nil {
		return
	}
	for {
		p, err := x.tracer.Next(ctx)
		if err != nil {
			return
		}
		select {
		case to <- p:
		case <-ctx.Done():
			return
		}
	}
}

// take keeps a traced packet. What becomes of one at the egress of a device is told
// after it has passed postrouting, and is a part of the same walk.
func (x *run) take(p *netfilter.Packet) {
	if p.Start == netfilter.Egress {
		for i := len(x.packets) - 1; i >= 0; i-- {
			was := x.packets[i]
			if was.End != netfilter.Postrouting || was.Last.Source() != p.First.Source() || was.Last.Destination() != p.First.Destination() ||
				was.Last.Proto != p.First.Proto || was.Last.Length != p.First.Length || was.Last.Data != p.First.Data {
				continue
			}
			whole := *was
			whole.End, whole.Last, whole.Visits = netfilter.HookUnknown, p.Last, slices.Concat(was.Visits, p.Visits)
			x.packets[i] = &whole
			return
		}
	}
	x.packets = append(x.packets, p)
}

func (x *run) close() {
	if x.tracer != nil {
		// Without its socket the kernel removes the table; there is nobody to tell.
		_ = x.tracer.Close()
	}
}

// limits says what a trace may have missed on this host.
func (x *run) limits() []string {
	var missed []string
	if x.missed > 0 {
		missed = append(missed, fmt.Sprintf("%d events of the tunnel were not read in time", x.missed))
	}
	if x.tracer == nil {
		return missed
	}
	missed = append(missed, x.tracer.Unseen()...)
	if n := x.tracer.Lost(); n > 0 {
		missed = append(missed, fmt.Sprintf("%d trace events were lost", n))
	}
	return missed
}
