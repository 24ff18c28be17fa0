//go:build linux

package droplist

import (
	"fmt"
	"math"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/drops"
)

// row is a Row and how its numbers come about.
type row struct {
	Row
	seen    uint64 // reports of the place
	matched uint64 // of them those that the filter wants
	kernel  uint64 // packets by the kernel's count
	last    uint64 // that count when it was read last

	// Counts of one and two seconds ago.
	before, older     uint64
	beforeAt, olderAt time.Time
}

// counted takes the kernel's count. It has forgotten the place in between if that is lower.
func (r *row) counted(n uint64) {
	if n >= r.last {
		r.kernel += n - r.last
	} else {
		r.kernel += n
	}
	r.last = n
}

// show brings the Row up to date.
func (r *row) show(now time.Time, filtered bool, lost uint64) {
	r.Lost = lost
	if filtered {
		r.Count, r.AtLeast = r.matched, r.kernel > r.seen
	} else {
		r.Count = max(r.kernel, r.seen)
	}
	since, at := r.older, r.olderAt
	if now.Sub(r.beforeAt) >= second {
		since, at = r.before, r.beforeAt
	}
	r.PerSecond = 0
	if r.Count > since {
		r.PerSecond = math.Round(10*float64(r.Count-since)/max(now.Sub(at), second).Seconds()) / 10
	}
}

// shift moves on by a second.
func (r *row) shift(now time.Time) {
	r.older, r.olderAt = r.before, r.beforeAt
	r.before, r.beforeAt = r.Count, now
}

// add takes a report into account. It returns nil if that is nothing to be listed.
func (l *List) add(d *drops.Drop) *Row {
	if d.Noise() {
		return nil
	}
	var e probe.Event
	if !l.decode(d, &e) || d.Usual() && !l.repeats.stuck(d, &e) {
		return nil
	}
	place := drops.Place{Reason: d.Reason, Name: d.Place, Device: d.Device, Segment: d.Segment}
	r := l.rows[place]
	if r == nil {
		if len(l.rows) == maxRows {
			return nil
		}
		r = &row{beforeAt: d.At, olderAt: d.At}
		l.rows[place] = r
	}
	r.seen++
	if !l.filter.Match(&e, d.Reason) {
		return nil
	}
	r.matched++
	r.Time, r.Segment, r.Reason, r.Place, r.Hook = d.At.UTC(), d.Segment.String(), d.Reason, d.Place, d.Hook()
	r.Device, r.Socket, r.Proven = l.device(d.Device), d.Socket, d.Proves()
	r.Packet.describe(&e, d.Length)
	r.event, r.peer = e, l.peers.names[e.Peer]
	if e.Peer != 0 {
		r.Packet.Peer, r.Packet.PeerName = r.peer.PublicKey.Base64(), r.peer.Name
	}
	r.show(time.Now(), l.filter != nil, l.Lost())
	return &r.Row
}

// device is the name of a device, "" for none.
func (l *List) device(index uint32) string {
	if index == 0 {
		return ""
	}
	if name, ok := l.around.devices[index]; ok {
		return name
	}
	return fmt.Sprintf("device %d", index)
}

// decode makes an event of a report: of what is inside of the tunnel, or of a message.
func (l *List) decode(d *drops.Drop, e *probe.Event) bool {
	if !d.Event(e, d.Segment == drops.SegmentOuter) {
		return false
	}
	e.Peer = l.peers.of(e)
	return true
}
