//go:build linux

package explain

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/node/droplist"
	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/drops"
	"github.com/wgnode/wgnode/probe/host/routing"
	"github.com/wgnode/wgnode/probe/recording"
)

// This file hands what the kernel drops of the tunnel's packets to a recording, by the same program
// that tells the observer what it drops of encrypted ones.

// dropsKept bounds how many of them wait for the recording.
const dropsKept = 4096

// Add implements [observe.Policy].
func (o *observing) Add(seen *observe.Observation) { (*Observer)(o).add(seen) }

// Look implements [observe.Policy].
func (o *observing) Look(context.Context) observe.State {
	o.missed.Store(o.seen.DropsMissed)
	if o.ending.Load() {
		return observe.Complete
	}
	return observe.Open
}

// observing is an observer as a policy that has enough when its end is asked for.
type observing Observer

// tunnelPackets is what tells the tunnel's packets from others.
func (s *Subject) tunnelPackets(k collect.Knowledge) (*observe.Tunnel, error) {
	look := func() (uint32, drops.Addresses, error) {
		t := &droplist.Tunnel{Interface: s.Interface, Port: k.Node().ListenPort}
		for _, p := range k.Peers() {
			t.Peers = append(t.Peers, droplist.Peer{AllowedIPs: p.AllowedIPs})
		}
		device, a, err := droplist.Around(t)
		if err == nil && device == 0 {
			err = fmt.Errorf("%s is not in this network namespace", s.Interface)
		}
		return device, a, err
	}
	device, a, err := look()
	if err != nil {
		return nil, err
	}
	return &observe.Tunnel{Device: device, Port: k.Node().ListenPort, Addresses: a, Look: func() (drops.Addresses, error) {
		now, err := s.Knowledge()
		if err != nil {
			return drops.Addresses{}, err
		}
		k = now
		_, a, err := look()
		return a, err
	}}, nil
}

// SeesDrops reports whether the observer hears what the kernel drops of the tunnel's packets.
func (o *Observer) SeesDrops() bool { return o != nil && o.device != 0 && o.seen.DropsBlind == "" }

// Drops takes what the kernel has dropped since the last call.
func (o *Observer) Drops() []Dropped {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.dropped
	o.dropped = nil
	return all
}

// DropsMissed is how many more there were.
func (o *Observer) DropsMissed() uint64 {
	if o == nil {
		return 0
	}
	return o.missed.Load() + o.crowded.Load()
}

// record keeps what the kernel has dropped for the recording. o.mu must be held.
func (o *Observer) record(d *observe.Dropped) {
	if o.device == 0 {
		return
	}
	if len(o.dropped) == dropsKept {
		o.crowded.Add(1)
		return
	}
	one := Dropped{Drop: recording.Drop{KernelDrop: d.KernelDrop, Segment: evidence.NoSegment}}
	sent := d.Hook == "output" || d.Hook == "postrouting" || d.Hook == "egress"
	owner := o.s.Tunnel.PeerOf(d.Head(), sent)
	// A message of ours that is routed into the tunnel is one all the same.
	outer := d.Report.Segment != drops.SegmentInner || owner != 0
	if !d.Report.Event(&one.Event, outer) {
		return
	}
	one.Device = routing.LinkName(d.Device)
	if outer {
		o.recordMessage(&one, d, owner)
	} else {
		o.recordInner(&one, d.Device)
	}
	o.dropped = append(o.dropped, one)
}

// recordMessage says of a dropped message which way it went, and whose it is: by an index that it
// has, or else, as anybody may claim, by where it comes from or goes to.
func (o *Observer) recordMessage(one *Dropped, d *observe.Dropped, owner probe.PeerID) {
	var remote netip.AddrPort
	var ok bool
	if one.Segment, remote, ok = ends(d, o.facts.ListenPort); !ok {
		one.Segment = evidence.NoSegment
	}
	one.Sender, one.Data = d.Sender(), one.Event.Kind == probe.KindData || one.Event.Kind == probe.KindKeepalive
	one.Event.Peer, one.Claimed = owner, owner == 0
	if owner != 0 {
		return
	}
	for _, ps := range o.s.Tunnel.Peers() {
		if ps.Configured && ps.Endpoint.IsValid() && ps.Endpoint == remote {
			one.Event.Peer = ps.ID
			return
		}
	}
}

// recordInner says of a dropped inner packet which way it went, and whose it is by AllowedIPs.
func (o *Observer) recordInner(one *Dropped, device uint32) {
	src, _ := o.s.Tunnel.Lookup(one.Src.Addr())
	dst, _ := o.s.Tunnel.Lookup(one.Dst.Addr())
	one.Segment = innerSegment(one.Hook, device == o.device, src.Peer != 0, dst.Peer != 0)
	one.Event.Peer = dst.Peer
	if one.Segment == evidence.FromTunnel || dst.Peer == 0 {
		one.Event.Peer = src.Peer
	}
}

// innerSegment is where an inner packet was dropped: by the part of the path that it was on and
// whether it was at the tunnel's device then, else by whether its ends are behind peers.
func innerSegment(hook string, own, fromPeer, toPeer bool) evidence.Segment {
	in := hook == "ingress" || hook == "prerouting" || hook == "input" || hook == "forward"
	out := hook == "postrouting" || hook == "egress"
	switch {
	case own && in, fromPeer && !toPeer:
		return evidence.FromTunnel
	case own && out, toPeer && !fromPeer, hook == "output":
		return evidence.ToTunnel
	case fromPeer && toPeer && !own && out: // on its way out of another device
		return evidence.FromTunnel
	case fromPeer && toPeer && !own && in:
		return evidence.ToTunnel
	}
	return evidence.NoSegment
}

// End has the observer come to an end, which Close then waits for.
func (o *Observer) End() {
	if o != nil {
		o.ending.Store(true)
	}
}

// observerLook is how often an observer counts what was missed, and looks whether its end was
// asked for.
const observerLook = 250 * time.Millisecond
