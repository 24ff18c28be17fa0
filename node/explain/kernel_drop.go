//go:build linux

package explain

import (
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// addDrop takes in what the kernel says that it has dropped, if it is of the flow.
func (x *explanation) addDrop(d *observe.Dropped) {
	if x.facts.Kernel == nil {
		return
	}
	if !x.ofFlow(d) {
		if x.req.Passive { // the tunnel's event, which says which connection it is, may come later
			x.keepOther(observe.Observation{Dropped: d})
		}
		return
	}
	if d.On != evidence.FromWire && d.On != evidence.ToWire {
		x.facts.Kernel.On(d.On).AddDrop(x.kernel.dropOn(x.facts, d, d.On, belongs{}))
		return
	}
	x.kernel.whose.ask(d.Head(), d.On == evidence.ToWire, ownTo(d), time.Now(), func(b belongs) {
		if f := x.half(d.On, d.Src, d.Dst, b); f != nil {
			f.Kernel.On(d.On).AddDrop(x.kernel.dropOn(f, d, d.On, b))
		}
	})
}

// alike reports whether what a drop is due to was found out of one shortly before.
func alike(before, drop *evidence.KernelDrop) bool {
	return before != nil && before.Reason == drop.Reason && before.Place == drop.Place && before.Device == drop.Device &&
		before.Hook == drop.Hook && before.Src.Addr() == drop.Src.Addr() && before.Dst == drop.Dst &&
		drop.At.Sub(before.At) < time.Second
}

// refused looks up why routing or IPsec refuses a packet: netfilter's trace, which tells as
// much, may be late.
func refused(drop *evidence.KernelDrop, proto uint8) {
	switch drop.Reason {
	case "XFRM_POLICY":
		for _, b := range observe.DropBlocks(drop, proto) {
			drop.Tables, drop.Fix = append(drop.Tables, b.Text), append(drop.Fix, b.Fix)
		}
	case "IP_INADDRERRORS", "IP_RPFILTER":
		if drop.Device != "" {
			unrouted(drop, proto)
		}
	}
}

// unrouted is refused of what routing refuses that comes in.
func unrouted(drop *evidence.KernelDrop, proto uint8) {
	src, dst := drop.Src.Addr(), drop.Dst.Addr()
	s, err := routing.Take(routing.Options{Only: []netip.Addr{src, dst}})
	if err != nil {
		return // then the kernel's word stands alone
	}
	if drop.Reason == "IP_RPFILTER" {
		c := s.SourceCheck(routing.Flow{Src: src, Dst: dst, Proto: proto, SPort: drop.Src.Port(), DPort: drop.Dst.Port(), IIF: drop.Device})
		if c.Drops && c.Doubt == "" {
			drop.Tables, drop.Fix = c.Evidence, c.Fix
		}
		return
	}
	if f := s.Forwarding(dst.Is6(), drop.Device); !f.On {
		drop.Tables, drop.Fix = []string{f.Evidence}, f.Fix
	}
}

// dropOn is a drop on a segment as it is evidence, beside what the facts have already. b says
// whose an encrypted packet is.
func (w *kernelWatch) dropOn(f *diagnose.Facts, d *observe.Dropped, on evidence.Segment, b belongs) evidence.KernelDrop {
	drop := d.KernelDrop
	drop.Device = routing.LinkName(d.Device)
	drop.Claimed = b.known == evidence.Claimed
	if on == evidence.FromWire {
		drop.Sender = d.Sender()
	}
	if before := f.Kernel.On(on).KernelDrop; alike(before, &drop) {
		drop.Tables, drop.Fix, drop.Named = before.Tables, before.Fix, before.Named
	} else if !drop.Hint {
		refused(&drop, d.Event.Proto)
		drop.Named = w.rules.Find(d, drop.Device, services(f, on, d.Src.Port(), d.Dst.Port()))
	}
	return drop
}

// ends says on which segment a dropped message was, and where its ends are. Which way one went
// its ports do not say, since both ends may have the same: the part of the path does that it was
// on. It is false for what is of another program, to a port like ours.
func ends(d *observe.Dropped, port uint16) (on evidence.Segment, remote netip.AddrPort, ok bool) {
	on, remote, own := evidence.FromWire, d.Src, d.Dst
	switch d.Hook {
	case "output", "postrouting", "egress":
		on, remote, own = evidence.ToWire, d.Dst, d.Src
	case "ingress", "prerouting", "input":
	default:
		return 0, remote, false
	}
	return on, remote, own.Port() == port
}

// ownTo is where a dropped message of this host itself was to go, invalid of what may be another
// host's that is forwarded.
func ownTo(d *observe.Dropped) (to netip.AddrPort) {
	if d.Hook == "output" {
		to = d.Dst
	}
	return to
}

// addDrop takes in what the kernel has dropped of all messages. o.mu must be held.
func (o *Observer) addDrop(d *observe.Dropped, now time.Time) {
	on, remote, ok := ends(d, o.facts.ListenPort)
	if !ok {
		return
	}
	o.wire.whose.ask(d.Head(), on == evidence.ToWire, ownTo(d), now, func(b belongs) {
		if k := o.kernel(remote, b); k != nil {
			of := *o.facts
			of.Kernel = k
			k.On(on).AddDrop(o.wire.dropOn(&of, d, on, b))
		}
	})
}

// addDrop puts a message that the kernel has dropped down to the peer that it is of, once that
// is known. One that anybody could have sent is put down to the peer that is where it came from.
func (w *wireWatch) addDrop(f *diagnose.Facts, c *collect.Collector, d *observe.Dropped) {
	on, remote, ok := ends(d, f.ListenPort)
	if !ok {
		return
	}
	w.watch.whose.ask(d.Head(), on == evidence.ToWire, ownTo(d), time.Now(), func(b belongs) {
		for id, p := range c.Peers {
			if id == b.peer || b.peer == 0 && b.known == evidence.Claimed && p.Endpoint == remote {
				of := *f
				of.Peer, of.Kernel = p, w.of(id)
				of.Kernel.On(on).AddDrop(w.watch.dropOn(&of, d, on, b))
				return
			}
		}
	})
}

// ofFlow reports whether a packet of a segment is one of the connection that is followed.
func (x *explanation) ofFlow(d *observe.Dropped) bool {
	client, host, id := x.flow.Client, d.Src, d.Src.Port()
	forth := d.On == evidence.ToTunnel && x.facts.Side == probe.SideA || d.On == evidence.FromTunnel && x.facts.Side == probe.SideB
	switch {
	case d.On == evidence.ToWire || d.On == evidence.FromWire:
		return true
	case !forth:
		host, id = d.Dst, d.Dst.Port()
	}
	if d.Event.Proto == probe.ProtoICMP || d.Event.Proto == probe.ProtoICMPv6 {
		id = d.Src.Port() // of both directions: the echo's identifier
	}
	at := netip.AddrPortFrom(host.Addr(), id)
	if h := x.kernel.forth; x.facts.Side == probe.SideB && h.Dst.IsValid() && at == clientOf(h, true) {
		return true // as this host has translated it
	}
	// What does not get as far as the tunnel has no event that says which connection it is.
	return at == client || !client.IsValid() && forth && x.facts.Side == probe.SideA
}
