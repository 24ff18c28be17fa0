package recording

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/evidence"
)

// Drop is what the kernel of the host says of a packet that it has dropped: names, since the
// numbers of its reasons are another kernel's on the next host. It is written as JSON: keys may be
// added, none is renamed. What the headers say is in an event beside it, at no seam.
type Drop struct {
	evidence.KernelDrop
	Segment evidence.Segment `json:"segment"`
}

// What a file can make of a Drop.
const (
	maxDrop       = 8 << 10 // bytes, with the event
	maxDropName   = 128     // bytes of a name; the kernel's functions have fewer
	maxDropPacket = 256     // bytes of the words for the packet
)

// errDrop: what a file says of a drop is not understood.
var errDrop = errors.New("a packet that the kernel has dropped is not described")

// AppendDrop appends a drop as recordings have it, and frames: the event, then JSON.
func AppendDrop(dst []byte, e *probe.Event, d *Drop) ([]byte, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return dst, fmt.Errorf("describe a drop: %w", err)
	}
	if dst, err = e.AppendBinary(dst); err != nil {
		return dst, fmt.Errorf("describe a drop: %w", err)
	}
	return append(dst, text...), nil
}

// ParseDrop reads what AppendDrop has written. The event is of no seam, whatever it says, and
// names that are too long are cut: b may be hostile.
func ParseDrop(b []byte, e *probe.Event) (*Drop, error) {
	if len(b) < probe.EventSize || len(b) > maxDrop {
		return nil, fmt.Errorf("%w: %d bytes", errDrop, len(b))
	}
	e.SetBinary((*[probe.EventSize]byte)(b))
	e.Seam, e.Checkpoint, e.Reason, e.Seq, e.Pair = 0, probe.CheckpointNone, probe.ReasonNone, 0, 0
	d := &Drop{Segment: evidence.NoSegment}
	if err := json.Unmarshal(b[probe.EventSize:], d); err != nil {
		return nil, fmt.Errorf("%w: %w", errDrop, err)
	}
	if d.Reason == "" {
		return nil, fmt.Errorf("%w: no reason", errDrop)
	}
	for _, name := range []*string{&d.Reason, &d.Place, &d.Hook, &d.Device} {
		*name = (*name)[:min(len(*name), maxDropName)]
	}
	d.Packet = d.Packet[:min(len(d.Packet), maxDropPacket)]
	d.At, d.Count = e.When().UTC(), 1
	d.Tables, d.Fix, d.Named = nil, nil, nil // what is found out about it stands in observations
	return d, nil
}

// Text is the drop as package eventtext has it. e is its event.
func (d *Drop) Text(e *probe.Event) *eventtext.Drop {
	segment := "outer"
	if e.Kind == probe.KindInner {
		segment = "inner"
	}
	return &eventtext.Drop{Segment: segment, Place: d.Place, Hook: d.Hook, Device: d.Device, Proven: !d.Hint, Count: 1}
}

// Drop writes a packet that the kernel has dropped, in a note.
func (w *Writer) Drop(e *probe.Event, d *Drop) error {
	content, err := AppendDrop(nil, e, d)
	if err != nil {
		return err
	}
	b, at := w.beginPacket(Note, e.Time)
	b = appendNote(b, e)
	b = endData(b, at, len(b)-at)
	w.scratch = w.comment.appendDrop(w.scratch[:0], e, d)
	b = appendOption(b, optComment, w.scratch[:min(len(w.scratch), maxOption)])
	b = appendCustom(b, kindDrop, 0, w.meta.ID, content)
	w.write(endBlock(endOptions(b)))
	w.counted(Note, e.Time)
	return w.err
}

// appendDrop appends the comment of a packet that the kernel has dropped:
//
//	kernel alice: 10.0.0.1:45734 > 192.168.200.22:80 tcp [S] len 60 DROP TC_EGRESS in __dev_queue_xmit, at wg0 (egress)
func (c *commenter) appendDrop(b []byte, e *probe.Event, d *Drop) []byte {
	b = append(b, "kernel"...)
	if e.Peer != 0 {
		b = append(append(b, ' '), c.peer(e.Peer)...)
	}
	return eventtext.AppendDropDetail(append(b, ": "...), e, d.Reason, d.Text(e), &c.opt)
}

// dropped takes a packet that the kernel has dropped.
func (r *Reader) dropped(p *Packet, content []byte) error {
	d, err := ParseDrop(content, &p.Event)
	if err != nil {
		return err
	}
	p.Drop, p.Interface, p.Data, p.Length, p.Made, p.kept = d, Note, nil, 0, false, true
	return nil
}
