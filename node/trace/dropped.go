//go:build linux

package trace

import (
	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/routing"
	"github.com/wgnode/wgnode/probe/walk"
)

// maxDrops bounds how many drops of packets like this one are kept.
const maxDrops = 256

// addDrops adds to the traversals what the kernel says that it has dropped of the packet,
// its reply, and the messages that carry them.
func (x *run) addDrops(f *walk.Facts) {
	for _, d := range x.drops {
		t := x.dropOn(f, d)
		if t == nil {
			continue
		}
		if *t == nil { // netfilter's trace has not shown it
			*t = &evidence.Traversal{Packets: 1, At: d.At, Packet: d.Packet, Src: d.Src, Dst: d.Dst}
		}
		drop := d.KernelDrop
		drop.Device = routing.LinkName(d.Device)
		switch out := d.On == evidence.ToTunnel || d.On == evidence.ToWire; {
		case out && (*t).Out == "":
			(*t).Out = drop.Device
		case !out && (*t).In == "":
			(*t).In = drop.Device
		}
		(*t).AddDrop(drop)
	}
}

// dropOn is the traversal that a dropped packet belongs to, nil if it is another one's.
func (x *run) dropOn(f *walk.Facts, d *observe.Dropped) **evidence.Traversal {
	id := d.Src.Port() // of an echo in both directions
	if d.On == evidence.FromTunnel && x.to.Port() != 0 {
		id = d.Dst.Port()
	}
	index, counter, ok := d.Index()
	for i := range f.Unanswered {
		switch a := &f.Unanswered[i]; {
		case d.On == evidence.ToWire && d.Sender() == a.Event.Sender:
			return &a.Sent
		case d.On == evidence.FromWire && ok && counter == 0 && index == a.Event.Sender:
			return &a.Response
		}
	}
	initiation, data := f.Seen[probe.A2], f.Seen[probe.A4]
	switch {
	case d.On == evidence.ToTunnel && id == x.id:
		return &f.Out
	case d.On == evidence.FromTunnel && id == x.id:
		return &f.In
	case d.On == evidence.ToWire && initiation != nil && data == nil && d.Sender() == initiation.Sender:
		return &f.Initiation
	case d.On == evidence.FromWire && initiation != nil && data == nil && ok && index == initiation.Sender:
		return &f.Response
	case d.On == evidence.ToWire && data != nil && ok && index == data.Receiver && counter == data.Counter:
		return &f.Sent
	case d.On == evidence.FromWire && data != nil && f.Seen[probe.A5] == nil && ok && x.whose(d.Head(), false) == x.peer:
		f.ReceivedOther = someAnswer
		return &f.Received
	}
	return nil
}
