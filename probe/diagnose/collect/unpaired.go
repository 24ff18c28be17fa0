package collect

import (
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// Where copies of packets and of messages are all there is, they come from different sockets:
// which is read first says nothing, and a packet may be told of after the message that it is in.

// sentKept is how many messages are remembered for packets that are told of later.
const sentKept = 64

// unpaired takes an event into account of which it is not known whether it is the flow's.
func (c *Collector) unpaired(e *probe.Event) {
	f := c.Flow
	if e.Kind == probe.KindInner && e.Seam == probe.SeamTUNRead {
		for i := range c.sent { // of those that are younger than it no other packet has told yet
			m := &c.sent[i]
			if f.Seen[e.Checkpoint] != nil && f.Seen[e.Checkpoint].Seq == e.Seq {
				count(f, m, e.Checkpoint)
			}
		}
		return
	}
	if e.Kind != probe.KindData || e.Seam != probe.SeamUDPSend || e.Dropped() {
		return
	}
	if len(c.sent) == sentKept {
		c.sent = append(c.sent[:0], c.sent[1:]...)
	}
	c.sent = append(c.sent, *e)
	count(f, e, probe.A1)
	count(f, e, probe.B7)
}

// count counts a message that may have the first packet of a flow at a checkpoint: it is to the
// same peer, and not older.
func count(f *diagnose.Flow, m *probe.Event, at probe.Checkpoint) {
	in, u := f.Seen[at], &f.Unpaired
	switch {
	case in == nil || in.Peer != m.Peer || in.Time > m.Time:
	case at == probe.B7:
		u.Back++
	default:
		if u.Forth++; u.First == nil || u.First.Time > m.Time {
			u.First = kept(m)
		}
	}
}
