package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/filter"
	"github.com/wgnode/wgnode/probe/recording"
)

// RecordRequest says what to record.
type RecordRequest struct {
	Filter []string // the words of a filter, see package filter; none: all
	// Since is how far back to begin with what the flight recorder holds; 0: now.
	Since time.Duration
	// Snaplen is how many bytes of each packet to keep: recording.Headers, or 0
	// for all.
	Snaplen int
	// Keys asks for the lines of a key log, see [recording.Writer.Secrets]. The
	// node must keep session keys, see [tunnel.KeepSessionKeys].
	Keys bool
	// NoKernel leaves out what the kernel does with packets: none is followed, and what it drops
	// is not recorded.
	NoKernel bool

	noDrops bool // the client does not know frames of what the kernel drops
}

// query is the request as a node reads it. "frames" is the format that the client reads:
// a node that knows 1 only does not look at it.
func (r *RecordRequest) query() url.Values {
	q := url.Values{"filter": r.Filter}
	q.Set("frames", strconv.Itoa(recording.Format))
	q.Set("drops", "1") // this client knows frames of them
	q.Set("since", r.Since.String())
	q.Set("snaplen", strconv.Itoa(r.Snaplen))
	if r.Keys {
		q.Set("keys", "1")
	}
	if r.NoKernel {
		q.Set("kernel", "0")
	}
	return q
}

func parseRecordRequest(q url.Values) (r RecordRequest, err error) {
	if err := checkFrames(q); err != nil {
		return r, err
	}
	r.Filter, r.Keys = q["filter"], q.Get("keys") == "1"
	r.NoKernel, r.noDrops = q.Get("kernel") == "0", q.Get("drops") != "1"
	if r.Since, err = time.ParseDuration(q.Get("since")); err != nil {
		return r, fmt.Errorf("since: %w", err)
	}
	if r.Snaplen, err = strconv.Atoi(q.Get("snaplen")); err != nil || r.Snaplen < recording.Headers {
		return r, fmt.Errorf("snaplen %q: want a number of bytes", q.Get("snaplen"))
	}
	return r, nil
}

// Events are sent in few large portions: a wake-up of another process costs more
// than what it is woken for. The flight recorder holds some 250 ms of 1 Gbit/s, at
// its usual size.
const (
	recordBatch = 4096 // events
	recordPace  = 20 * time.Millisecond
)

// drainTime is how long a recording goes on when its end is asked for, so that what was
// received just before is recorded with what was in it.
const drainTime = 150*time.Millisecond + 2*recordPace

// settleTime is how long events may take to the flight recorder at most, when somebody who reads
// them ends.
const settleTime = 3 * time.Second

// settle waits until what has happened is in the flight recorder, as far as that can be
// waited for.
func settle(of Served) {
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	of.Settle(ctx)
}

// record streams a recording as frames; see RecordRequest for the parameters. Like
// watch it ends when the client shuts down its half of the connection.
func (s server) record(w http.ResponseWriter, r *http.Request) {
	req, err := parseRecordRequest(r.URL.Query())
	if err != nil {
		Refuse(w, http.StatusBadRequest, err)
		return
	}
	match, err := s.compileBoth(req.Filter)
	rec := &recorder{req: &req, of: s.Served, known: make(map[probe.PeerID]bool)}
	if err == nil && req.Keys {
		rec.keys, err = s.Keys()
	}
	if err != nil {
		Refuse(w, http.StatusBadRequest, err)
		return
	}
	meta, err := recordingMeta(s.Served, &req)
	if err != nil {
		Refuse(w, http.StatusInternalServerError, err)
		return
	}
	rec.frameWriter = newFrameWriter(w)
	if err := rec.run(r.Context(), meta, match); err != nil {
		s.log.Debug("recorder gone", "interface", meta.Interface, "error", err)
	}
}

// recorder is one recording on its way to a client.
type recorder struct {
	frameWriter
	of       Served
	req      *RecordRequest
	tap      Tap
	keys     Keys              // nil: none are asked for
	observer *explain.Observer // nil: nobody watches the kernel
	match    *filter.Both      // nil: all
	known    map[probe.PeerID]bool
	lost     recording.Loss
}

func (r *recorder) run(ctx context.Context, meta *recording.Meta, match *filter.Both) error {
	subject := r.of.Subject()
	r.tap = r.of.Tap(r.req.Snaplen) // before the first event that is to have content
	defer r.tap.Close()
	if !r.req.NoKernel {
		// What it has seen when the end is asked for it yet has to say.
		observer, err := explain.NewObserver(context.WithoutCancel(ctx), subject)
		if err != nil {
			return err
		}
		r.observer = observer
		defer observer.Close()
		meta.Drops = observer.SeesDrops() && !r.req.noDrops && !match.NoDrops()
	}
	r.match = match
	if r.req.Since > 0 {
		settle(r.of) // what has passed is to be there
	}
	past, missed, sub := subject.Tunnel.Recorder().SubscribeSince(time.Now().Add(-r.req.Since), match.Events())
	defer sub.Close()
	r.lost.Events = missed
	for i := range meta.Peers {
		r.known[meta.Peers[i].ID] = true
	}
	if err := r.json(frameMeta, meta); err != nil {
		return err
	}
	if r.keys != nil {
		if err := r.frame(frameSecrets, r.keys.StaticKeyLog(nil)); err != nil {
			return err
		}
	}
	for i := range past {
		if err := r.event(&past[i], probe.LaneOf(&past[i]) == probe.LaneControl); err != nil {
			return err
		}
	}
	past, r.lost.Contents = nil, 0 // the past has none but for the latest handshakes
	end, err := r.follow(ctx, sub, missed)
	if err != nil {
		return err
	}
	seen := r.observer.Close()
	if err := r.drops(end); err != nil {
		return err
	}
	for _, o := range seen {
		if err := r.json(frameObservations, o); err != nil {
			return err
		}
	}
	// The last words.
	r.lost.Drops = r.observer.DropsMissed()
	if err := r.json(frameLoss, lastLoss{r.lost, end}); err != nil {
		return err
	}
	return r.send()
}

// noEnd is the end of a recording that goes on.
const noEnd = int64(1<<63 - 1)

// follow sends what passes until ctx ends, and then what passed before that. It returns when that
// was.
func (r *recorder) follow(ctx context.Context, sub *probe.Subscription, missed uint64) (end int64, err error) {
	events := make([]probe.Event, recordBatch)
	unseen := r.of.Unseen()
	end = noEnd
	for {
		if !sub.Behind() {
			if err := r.idle(); err != nil {
				return end, err
			}
			select {
			case <-ctx.Done():
			case <-time.After(recordPace):
			}
		}
		n, err := r.read(ctx, sub, events)
		some, last := events[:n], err != nil && end != noEnd
		switch {
		case last: // however long that took
			some = sub.Rest()
		case err != nil:
			end = time.Now().UnixNano()
			r.observer.End()
			settle(r.of)
			drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
			defer cancel()
			ctx = drain
		}
		if err := r.losses(missed + sub.Lost() + r.of.Unseen() - unseen); err != nil {
			return end, err
		}
		if err := r.passed(some, end); err != nil || last {
			return end, err
		}
	}
}

// passed sends events, and what the kernel has dropped, from before the end.
func (r *recorder) passed(events []probe.Event, end int64) error {
	for i := range events {
		if events[i].Time > end {
			continue
		}
		r.observer.Recorded(&events[i])
		if err := r.event(&events[i], true); err != nil {
			return err
		}
	}
	return r.drops(end)
}

// dropsPace is how long what the kernel drops waits for an event, at most: it may be all that
// happens.
const dropsPace = 200 * time.Millisecond

// read waits for events; there may be none after a while if the kernel is watched, too.
func (r *recorder) read(ctx context.Context, sub *probe.Subscription, events []probe.Event) (int, error) {
	if r.observer == nil {
		return sub.Read(ctx, events)
	}
	short, cancel := context.WithTimeout(ctx, dropsPace)
	defer cancel()
	n, err := sub.Read(short, events)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return n, err
}

// losses says what was lost by now, if that is more than before.
func (r *recorder) losses(events uint64) error {
	was := r.lost
	r.lost.Events, r.lost.Drops = events, r.observer.DropsMissed()
	if was == r.lost {
		return nil
	}
	return r.json(frameLoss, r.lost)
}

// drops sends what the kernel has dropped before the end.
func (r *recorder) drops(end int64) error {
	for _, d := range r.observer.Drops() {
		if r.req.noDrops || d.Event.Time > end || !r.match.MatchDrop(&d.Event, d.Reason) {
			continue
		}
		if err := r.meet(d.Event.Peer); err != nil {
			return err
		}
		at := r.begin(frameDrop)
		var err error
		if r.buf, err = recording.AppendDrop(r.buf, &d.Event, &d.Drop); err != nil {
			return err
		}
		if err := r.end(at); err != nil {
			return err
		}
	}
	return nil
}

// meet tells of a peer that is new.
func (r *recorder) meet(id probe.PeerID) error {
	if id == 0 || r.known[id] {
		return nil
	}
	r.known[id] = true
	if p := recordingPeer(r.of, id); p != nil {
		return r.json(framePeer, p)
	}
	return nil
}

// event sends an event, with what was kept of its packet if there can be anything.
func (r *recorder) event(e *probe.Event, kept bool) error {
	if err := r.meet(e.Peer); err != nil {
		return err
	}
	if r.keys != nil {
		if err := r.secrets(e); err != nil {
			return err
		}
	}
	at := r.begin(frameEvent)
	r.buf, _ = e.AppendBinary(r.buf)
	if kept {
		var ok bool
		if r.buf, ok = r.tap.Content(r.buf, e); !ok {
			r.lost.Contents++
		}
	}
	return r.end(at)
}

// secrets sends what decrypts the session that the event begins, if it is one that
// does.
func (r *recorder) secrets(e *probe.Event) error {
	lines, err := r.keys.KeyLog(nil, e)
	if err != nil || len(lines) == 0 {
		return err
	}
	return r.frame(frameSecrets, lines)
}
