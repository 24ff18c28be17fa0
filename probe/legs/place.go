package legs

import (
	"slices"

	"github.com/wgnode/wgnode/probe"
)

// place is one that a probe, and then its answer, comes past.
type place uint8

// The places, in order.
const (
	atSent place = iota // the socket that sends
	atA1
	atA4
	atB3
	atB4
	atB7
	atB8
	atA5
	atBack // the socket that receives
	places
)

// socket is what both ends of the way are called.
const socket = "socket"

var placeNames = [places]string{atSent: socket, atBack: socket,
	atA1: probe.A1.String(), atA4: probe.A4.String(), atA5: probe.A5.String(),
	atB3: probe.B3.String(), atB4: probe.B4.String(), atB7: probe.B7.String(), atB8: probe.B8.String()}

// way is a leg as it is told.
type way struct {
	from, to place
	text     string
}

// alone are the legs that one host tells, and both those that two do.
var (
	alone = [...]way{
		{atSent, atA1, "this host's stack"},
		{atA1, atA4, "the tunnel"},
		{atA4, atA5, "the wire and the far host"},
		{atA5, atBack, "the tunnel and this host's stack"},
	}
	both = []way{
		alone[0],
		alone[1],
		{atA4, atB3, "the wire there"},
		{atB3, atB4, "the tunnel there"},
		{atB4, atB7, "behind the far end of the tunnel"},
		{atB7, atB8, "the tunnel there, back"},
		{atB8, atA5, "the wire back"},
		alone[3],
	}
	// half and capture are the legs of these levels: which packet is in which message that was
	// sent, or in any, is not told.
	half = []way{
		alone[0],
		{atA1, atA5, "the tunnel, the wire and the far host"},
		alone[3],
	}
	capture = []way{
		alone[0],
		{atA1, atBack, "the tunnel, the wire, the far host, and back"},
	}
	// ways are all of them, once.
	ways = append(slices.Clone(alone[:]), append(both[2:len(both)-1:len(both)-1], half[1], capture[1])...)
)

// list are the legs that are told.
func (t *Tracker) list() []way {
	switch {
	case t.series.Level == probe.LevelCapture:
		return capture
	case t.series.Level == probe.LevelHalf:
		return half
	case t.far:
		return both
	}
	return alone[:]
}

// crosses reports whether a leg leads from one host to the other, whose clock is another.
func (w way) crosses() bool {
	far := func(p place) bool { return atB3 <= p && p <= atB8 }
	return far(w.from) != far(w.to)
}

// where says past which place a packet of a series comes at an event, forth or back.
func where(e *probe.Event, forth, far bool) (place, bool) {
	switch {
	case e.Seam == probe.SeamTUNRead && forth && !far:
		return atA1, true
	case e.Seam == probe.SeamUDPSend && forth && !far:
		return atA4, true
	case e.Seam == probe.SeamUDPReceive && !forth && !far:
		return atA5, true
	case e.Seam == probe.SeamUDPReceive && forth && far:
		return atB3, true
	case e.Seam == probe.SeamTUNWrite && forth && far:
		return atB4, true
	case e.Seam == probe.SeamTUNRead && !forth && far:
		return atB7, true
	case e.Seam == probe.SeamUDPSend && !forth && far:
		return atB8, true
	}
	return 0, false
}
