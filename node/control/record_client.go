package control

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/recording"
)

// Recording takes what a node records; [recording.Output] is one. Begin comes
// first. An error ends the recording, and Client.Record returns it.
type Recording interface {
	Begin(m *recording.Meta) error
	Peer(p recording.Peer) error
	Secrets(lines []byte) error
	// Observed takes what the host found out beside its events, at the end.
	Observed(o *evidence.Observations) error
	// Event takes an event, what was kept of its packet (nil for nothing; valid
	// during the call), and how many events were lost since the previous one.
	Event(e *probe.Event, captured []byte, lost uint64) error
	// Drop takes a packet that the node's kernel has dropped.
	Drop(e *probe.Event, d *recording.Drop) error
	// Flush is called whenever there is nothing more at the moment.
	Flush() error
	// Ended comes last, and says up to when all that happened is recorded.
	Ended(at time.Time)
}

// Record hands on what passes to a recording until ctx ends, which is no error unless what is left
// does not come ([ErrNoEnd]), the node goes down ([ErrEnded]), or the recording returns an error, as
// [recording.ErrFull]. It returns what was lost in all.
func (c *Client) Record(ctx context.Context, req RecordRequest, into Recording) (recording.Loss, error) {
	f := &recordFrames{into: into}
	err := c.follow(ctx, "record?"+req.query().Encode(), func(res *http.Response) error {
		return readFrames(res.Body, f.take)
	})
	if f.begun {
		into.Ended(f.end())
	}
	return f.lost.Loss, err
}

// end is when the recording ended. A node that has not said so knew of its latest event.
func (f *recordFrames) end() time.Time {
	if f.lost.Ended != 0 {
		return time.Unix(0, f.lost.Ended)
	}
	return time.Unix(0, max(f.latest, f.since))
}

// recordFrames hands a stream of frames to a recording. An error of the recording is an
// errOut.
type recordFrames struct {
	into  Recording
	lost  lastLoss
	told  uint64 // lost events that the recording has been told of
	event probe.Event
	begun bool

	since, latest int64 // the time of its beginning, and of its latest event
}

func (f *recordFrames) take(kind byte, body []byte) error {
	if kind == frameMeta {
		m := new(recording.Meta)
		if f.begun {
			return errFrame
		}
		if err := frameJSON(body, m); err != nil {
			return err
		}
		if m.Format > recording.Format {
			return fmt.Errorf("%w: it records in format %d, and this program reads formats up to %d", errFrame, m.Format, recording.Format)
		}
		f.begun, f.since = true, m.Clock.Started.UnixNano()
		return out(f.into.Begin(m))
	}
	if !f.begun {
		return errFrame
	}
	switch kind {
	case frameEvent:
		captured, err := readEvent(&f.event, body)
		if err != nil {
			return err
		}
		lost := f.lost.Events - f.told
		f.told = f.lost.Events
		f.latest = max(f.latest, f.event.Time)
		return out(f.into.Event(&f.event, captured, lost))
	case frameDrop:
		d, err := recording.ParseDrop(body, &f.event)
		if err != nil {
			return fmt.Errorf("%w: %w", errFrame, err)
		}
		return out(f.into.Drop(&f.event, d))
	case framePeer:
		var p recording.Peer
		if err := frameJSON(body, &p); err != nil {
			return err
		}
		return out(f.into.Peer(p))
	case frameObservations:
		var o evidence.Observations
		if err := frameJSON(body, &o); err != nil {
			return err
		}
		return out(f.into.Observed(&o))
	case frameSecrets:
		return out(f.into.Secrets(body))
	case frameLoss:
		return frameJSON(body, &f.lost)
	case frameIdle:
		return out(f.into.Flush())
	default:
		return errFrame
	}
}

// out marks an error as the taker's.
func out(err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", errOut, err)
	}
	return nil
}
