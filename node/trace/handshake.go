//go:build linux

package trace

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/walk"
)

// memory is how far back an attempt at a handshake may have begun: for that long the device
// goes on (RekeyAttemptTime in the WireGuard whitepaper, section 6.1).
const memory = 90 * time.Second

// recall takes the handshakes from before into account: the packet may wait for one that is under way.
// The subscription stands already, so that it may bring the latest of them once more.
func (x *run) recall() {
	x.earlier = x.Tunnel.Recorder().Snapshot(time.Now().Add(-memory), func(e *probe.Event) bool {
		return e.Peer == x.peer && (e.Kind == probe.KindInitiation || e.Kind == probe.KindResponse)
	})
}

// handshakes are the events of them, in order.
func (x *run) handshakes() []*probe.Event {
	var all []*probe.Event
	last := uint64(0) // they have a lane of their own
	for i := range x.earlier {
		all, last = append(all, &x.earlier[i]), x.earlier[i].Seq
	}
	for i := range x.events {
		if e := &x.events[i]; (e.Kind == probe.KindInitiation || e.Kind == probe.KindResponse) && (last == 0 || e.Seq > last) {
			all = append(all, e)
		}
	}
	return all
}

// handshake picks the handshake that the packet waited for, if any: the one that was answered, or
// else the first.
func (j *joined) handshake(x *run) {
	a1, a4 := j.seen[probe.A1], j.seen[probe.A4]
	if a1 == nil {
		return
	}
	var sent []*probe.Event // and not answered yet
	for _, e := range x.handshakes() {
		came := e.Kind == probe.KindResponse && e.Seam != probe.SeamUDPSend
		switch {
		case a4 != nil && e.Time > a4.Time:
		case e.Kind == probe.KindInitiation && e.Seam == probe.SeamUDPSend:
			sent = append(sent, e)
		case e.Time < a1.Time && came && e.Reason == probe.ReasonNone:
			sent = nil // that was another attempt
		case e.Time < a1.Time || !came:
		case e.Reason == probe.ResponseRejected:
			j.seen[probe.A3] = e // recorded after its receipt
		case j.seen[probe.A3] == nil || j.seen[probe.A3].Reason == probe.ResponseStale:
			j.seen[probe.A3] = e
		}
	}
	first := slices.IndexFunc(sent, func(e *probe.Event) bool { return e.Time >= a1.Time })
	if res := j.seen[probe.A3]; res != nil && first >= 0 {
		if i := slices.IndexFunc(sent, func(e *probe.Event) bool { return e.Sender == res.Receiver }); i > first {
			first = i
		}
	}
	if first < 0 {
		j.seen[probe.A3] = nil
		return
	}
	j.seen[probe.A2] = sent[first]
	for _, e := range sent[:first] {
		u := unanswered{event: e}
		u.sent, u.response = x.shake(e.Sender)
		j.unanswered = append(j.unanswered, u)
	}
	j.initiation, j.response = x.shake(sent[first].Sender)
}

// unanswered is an initiation whose response did not come to the tunnel.
type unanswered struct {
	event          *probe.Event
	sent, response *observe.Packet // as netfilter showed them
}

// shake finds an initiation and its response among the packets that the kernel showed.
func (x *run) shake(sender uint32) (initiation, response *observe.Packet) {
	for _, p := range x.packets {
		d := &p.Last.Data
		switch on := p.Match.On; {
		case on == evidence.ToWire && d[0] == probe.TypeInitiation && index(d[4:]) == sender && initiation == nil:
			initiation = p
		case on == evidence.FromWire && d[0] == probe.TypeResponse && index(d[8:]) == sender && response == nil:
			response = p
		}
	}
	return initiation, response
}

// index reads an index as the protocol writes it.
func index(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

// attempts are the initiations that were not answered, for the walk.
func (j *joined) attempts() []walk.Attempt {
	var all []walk.Attempt
	for _, u := range j.unanswered {
		all = append(all, walk.Attempt{Event: u.event, Sent: traversal(u.sent), Response: traversal(u.response)})
	}
	return all
}
