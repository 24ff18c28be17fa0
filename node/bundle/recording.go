package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/recording"
	"github.com/wgnode/wgnode/probe/redact"
)

const (
	// recordedPast is how far back the recording begins.
	recordedPast = 10 * time.Minute
	// mostEvents bounds how many events are kept: the latest.
	mostEvents = 1 << 16
	// mostCaptured bounds what is kept of a packet, in bytes.
	mostCaptured = 256
)

// record has the node tell what its flight recorder holds, and what passes for a while, and makes
// a recording of it. What the kernel does is looked at only then; rules that are quoted go through
// hide.
func record(ctx context.Context, c *control.Client, length time.Duration, hide func(string) string) ([]byte, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	l := &latest{length: length, end: end}
	lost, err := c.Record(ctx, control.RecordRequest{Since: recordedPast, Snaplen: recording.Headers, NoKernel: length == 0}, l)
	if l.meta == nil {
		return nil, errors.Join(errors.New("nothing was recorded"), err)
	}
	data, werr := l.write(lost, hide)
	return data, errors.Join(err, werr)
}

// latest keeps the latest events of a recording.
type latest struct {
	length time.Duration
	end    func()

	meta   *recording.Meta
	peers  []recording.Peer // that came later
	seen   []evidence.Observations
	events []kept // a ring
	next   int    // the oldest of it
	ended  time.Time
}

type kept struct {
	event    probe.Event
	drop     *recording.Drop // not nil: the kernel has dropped the packet
	captured []byte
	lost     uint64
}

// Begin implements control.Recording.
func (l *latest) Begin(m *recording.Meta) error {
	l.meta = m
	if l.length > 0 {
		time.AfterFunc(l.length, l.end)
	}
	return nil
}

// Peer implements control.Recording.
func (l *latest) Peer(p recording.Peer) error { l.peers = append(l.peers, p); return nil }

// Secrets implements control.Recording.
func (l *latest) Secrets([]byte) error { return errors.New("a bundle contains no secrets") }

// Observed implements control.Recording.
func (l *latest) Observed(o *evidence.Observations) error { l.seen = append(l.seen, *o); return nil }

// Event implements control.Recording.
func (l *latest) Event(e *probe.Event, captured []byte, lost uint64) error {
	k := kept{event: *e, lost: lost}
	if captured != nil && len(captured) <= mostCaptured {
		k.captured = slices.Clone(captured)
	}
	l.keep(k)
	return nil
}

// Drop implements control.Recording.
func (l *latest) Drop(e *probe.Event, d *recording.Drop) error {
	l.keep(kept{event: *e, drop: d})
	return nil
}

// Ended implements control.Recording.
func (l *latest) Ended(at time.Time) { l.ended = at }

// keep keeps an event, in place of the oldest where there is no room.
func (l *latest) keep(k kept) {
	if len(l.events) < mostEvents {
		l.events = append(l.events, k)
		return
	}
	l.events[l.next] = k
	l.next = (l.next + 1) % mostEvents
}

// Flush implements control.Recording: there is no more of the past.
func (l *latest) Flush() error {
	if l.length == 0 {
		l.end()
	}
	return nil
}

// write makes the recording. What was too old for it is not called lost: it begins later.
func (l *latest) write(lost recording.Loss, hide func(string) string) ([]byte, error) {
	var b bytes.Buffer
	out := recording.To(&b)
	if err := out.Begin(l.meta); err != nil {
		return nil, err
	}
	for _, p := range l.peers {
		if err := out.Peer(p); err != nil {
			return nil, err
		}
	}
	for i := range l.events {
		k := &l.events[(l.next+i)%len(l.events)]
		var err error
		if k.drop != nil {
			err = dropped(out, &k.event, k.drop, hide)
		} else {
			err = out.Event(&k.event, k.captured, k.lost)
		}
		if err != nil {
			return nil, err
		}
	}
	for i := range l.seen {
		seen, err := redact.Observations(&l.seen[i], hide)
		if err != nil {
			return nil, err
		}
		if err := out.Observed(seen); err != nil {
			return nil, err
		}
	}
	out.Ended(l.ended)
	err := out.Close(lost)
	return b.Bytes(), err
}

// dropped writes a packet that the kernel has dropped, with its texts rewritten.
func dropped(out *recording.Output, e *probe.Event, d *recording.Drop, to func(string) string) error {
	d, err := redact.Drop(d, to)
	if err != nil {
		return err
	}
	return out.Drop(e, d)
}

// nameRecording writes a recording again with other identities. Of packets only what their events
// know is left.
func nameRecording(data []byte, names *redact.Names) ([]byte, error) {
	r, err := recording.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	out := recording.To(&b)
	if err := out.Begin(names.Meta(r.Meta())); err != nil {
		return nil, err
	}
	told := len(r.Meta().Peers)
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		for _, peer := range r.Meta().Peers[told:] {
			if err := out.Peer(names.Peer(peer)); err != nil {
				return nil, err
			}
			told++
		}
		e := p.Event
		names.Event(&e)
		if p.Drop != nil {
			err = dropped(out, &e, p.Drop, names.Text)
		} else {
			err = out.Event(&e, nil, p.Lost)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, o := range r.Observations() {
		named, err := redact.Observations(&o, names.Text)
		if err != nil {
			return nil, err
		}
		if err := out.Observed(named); err != nil {
			return nil, err
		}
	}
	err = out.Close(r.Loss())
	return b.Bytes(), err
}
