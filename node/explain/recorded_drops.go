package explain

import (
	"fmt"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/recording"
)

// recordedDropsKernel is recordedKernel of a recording that has what the kernel drops.
const recordedDropsKernel = "a recording holds what the kernel drops, and not what else it does with packets"

// recordedDrops are what a recording says that the kernel has dropped.
type recordedDrops struct {
	flow  evidence.KernelEvidence // of the connection that is followed
	began time.Time               // the connection
	sent  map[sentMessage]bool    // the messages with packets of it
	wire  map[probe.PeerID][]wireDrop
}

// sentMessage is a data message that this host has sent.
type sentMessage struct {
	receiver uint32
	counter  uint64
}

// wireDrop is a message that the kernel has dropped.
type wireDrop struct {
	evidence.KernelDrop
	on      evidence.Segment
	message sentMessage
}

// Bounds of what is kept of a recording.
const (
	wireDropsKept  = 256 // of a peer, the latest
	droppedPeers   = 1024
	sentKept       = 4096
	reasonsCounted = 64 // of a peer
)

// begin forgets what is of another connection than the one that begins.
func (r *recordedDrops) begin(at time.Time) {
	r.flow, r.began, r.sent = evidence.KernelEvidence{}, at, nil
}

// sends notes a message of the connection.
func (r *recordedDrops) sends(e *probe.Event) {
	if e.Seam != probe.SeamUDPSend || e.Kind != probe.KindData || len(r.sent) == sentKept {
		return
	}
	if r.sent == nil {
		r.sent = make(map[sentMessage]bool)
	}
	r.sent[sentMessage{e.Receiver, e.Counter}] = true
}

// addDrop takes in what the kernel has dropped.
func (rec *recorded) addDrop(e *probe.Event, d *recording.Drop) {
	if t := e.When(); t.After(rec.end) {
		rec.end = t
	}
	rec.count(e.Peer, d.Reason)
	switch d.Segment {
	case evidence.ToWire, evidence.FromWire:
		if e.Peer == 0 || rec.kernel.wire[e.Peer] == nil && len(rec.kernel.wire) == droppedPeers {
			return
		}
		if rec.kernel.wire == nil {
			rec.kernel.wire = make(map[probe.PeerID][]wireDrop)
		}
		kept := rec.kernel.wire[e.Peer]
		if len(kept) == wireDropsKept {
			kept = append(kept[:0], kept[1:]...)
		}
		rec.kernel.wire[e.Peer] = append(kept, wireDrop{d.KernelDrop, d.Segment, sentMessage{e.Receiver, e.Counter}})
	case evidence.ToTunnel, evidence.FromTunnel:
		c, ok := rec.connection(e)
		if !ok || d.Hint && c != rec.current {
			return
		}
		rec.turn(c, e)
		if c == rec.current {
			rec.kernel.flow.On(d.Segment).AddDrop(d.KernelDrop)
		}
	}
}

// count counts what was dropped of a peer's, by reason.
func (rec *recorded) count(id probe.PeerID, reason string) {
	of := rec.drops[id]
	if of == nil {
		of = make(map[string]uint64)
		rec.drops[id] = of
	}
	if _, known := of[reason]; known || len(of) < reasonsCounted {
		of[reason]++
	}
}

// kernelOf is what is known of the kernel in a verdict on a peer, or a flow of its. wants says
// which of the dropped messages count.
func (rec *recorded) kernelOf(id probe.PeerID, wants func(*wireDrop) bool) *evidence.KernelEvidence {
	k := *rec.facts.Kernel
	for i := range rec.kernel.wire[id] {
		if d := &rec.kernel.wire[id][i]; wants(d) {
			k.On(d.on).AddDrop(d.KernelDrop)
		}
	}
	return &k
}

// ofConnection reports whether a dropped message is evidence on the connection: one that this host has
// sent is if the connection's packet is in it, or if it is of a handshake.
func (rec *recorded) ofConnection(d *wireDrop) bool {
	return !d.At.Before(rec.kernel.began) && (d.on == evidence.FromWire || !d.Data || rec.kernel.sent[d.message])
}

// lasting reports whether a dropped message may be evidence on how a peer is at the end: nothing was
// heard of it since.
func lasting(p *diagnose.Peer) func(*wireDrop) bool {
	return func(d *wireDrop) bool { return !p.Heard.After(d.At) }
}

// blind says what a recording does not hold of the kernel.
func blind(r *recording.Reader) *evidence.KernelEvidence {
	k := &evidence.KernelEvidence{Blind: recordedKernel}
	if r.Meta().Drops {
		k.Blind = recordedDropsKernel
	}
	if n := r.Loss().Events; n > 0 {
		k.Limits = append(k.Limits, fmt.Sprintf("the recording lacks %d events that came too fast to be written", n))
	}
	if n := r.Loss().Drops; n > 0 {
		k.Limits = append(k.Limits, fmt.Sprintf("the recording lacks %d packets that the kernel has dropped", n))
	}
	return k
}
