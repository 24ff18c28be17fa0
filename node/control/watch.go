package control

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/recording"
)

// WatchRequest says what to watch.
type WatchRequest struct {
	Filter []string // the words of a filter, see package filter; none: all
	Past   bool     // begin with what the flight recorder holds
	Every  uint     // show one event of so many that match; 0 and 1: all
	// JSON and Color say what lines a node of an earlier release is to send, which
	// makes them itself; see [Watcher.Line].
	JSON  bool
	Color bool
}

// watchVersion is that of the frames of a watch. Version 1 was lines of text.
const watchVersion = 2

// query is the request as a node reads it. Its filter and numbers of packets are the
// same in all versions; a node that knows no frames does not look at "frames", and one
// that does not at the form of lines.
func (r *WatchRequest) query() url.Values {
	q := url.Values{"filter": r.Filter}
	q.Set("frames", strconv.Itoa(watchVersion))
	if r.Past {
		q.Set("past", "1")
	}
	if r.Every > 1 {
		q.Set("every", strconv.FormatUint(uint64(r.Every), 10))
	}
	if !r.JSON {
		q.Set("format", "text")
	}
	if r.Color {
		q.Set("color", "1")
	}
	return q
}

func parseWatchRequest(q url.Values) (r WatchRequest, err error) {
	if err := checkFrames(q); err != nil {
		return r, err
	}
	r.Filter, r.Past, r.Every = q["filter"], q.Get("past") == "1", 1
	if v := q.Get("every"); v != "" {
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil || n == 0 {
			return r, fmt.Errorf("every %q: want a number of packets", v)
		}
		r.Every = uint(n)
	}
	return r, nil
}

// watchHead is the first frame of a watch.
type watchHead struct {
	Version int `json:"version"`
	// LongestName is how many characters the longest name of a peer has.
	LongestName int `json:"longest_name,omitempty"`
}

const watchBatch = 256 // events

// watch streams events as frames; see WatchRequest for the parameters. The node does
// the filtering, so that what is not wanted costs nothing on its way, and the client
// makes the lines. The first frame is sent at once, so that the client knows that it
// is being served. The last one says how many events were lost because the client was
// too slow; it comes when the client shuts down its half of the connection, or the
// node ends.
func (s server) watch(w http.ResponseWriter, r *http.Request) {
	req, err := parseWatchRequest(r.URL.Query())
	if err != nil {
		Refuse(w, http.StatusBadRequest, err)
		return
	}
	match, err := s.compile(req.Filter)
	if err != nil {
		Refuse(w, http.StatusBadRequest, err)
		return
	}
	sub := s.Subject().Tunnel.Recorder().Subscribe(probe.SubscribeOptions{Past: req.Past, Match: match, Every: uint64(req.Every)})
	defer sub.Close()
	stream := watchStream{frameWriter: newFrameWriter(w), of: s.Served, named: make(map[probe.PeerID]string)}
	if err := stream.run(r.Context(), sub); err != nil {
		s.log.Debug("watcher gone", "interface", s.Subject().Interface, "error", err)
	}
}

// watchStream is one watch on its way to a client.
type watchStream struct {
	frameWriter
	of    Served
	named map[probe.PeerID]string // what the client knows peers by
}

// run sends events until ctx ends or the client is gone.
func (s *watchStream) run(ctx context.Context, sub *probe.Subscription) error {
	head := watchHead{Version: watchVersion}
	for _, p := range s.of.Subject().Tunnel.Peers() {
		head.LongestName = max(head.LongestName, len([]rune(p.Name)))
	}
	if err := s.json(frameWatch, head); err != nil {
		return err
	}
	events := make([]probe.Event, watchBatch)
	unseen := s.of.Unseen()
	var loss recording.Loss
	for {
		if err := s.idle(); err != nil {
			return err
		}
		n, err := sub.Read(ctx, events)
		some := events[:n]
		if err != nil {
			some = s.rest(sub)
		}
		if now := sub.Lost() + s.of.Unseen() - unseen; now != loss.Events || err != nil {
			loss.Events = now
			if err := s.json(frameLoss, loss); err != nil {
				return err
			}
		}
		for i := range some {
			if err := s.event(&some[i]); err != nil {
				return err
			}
		}
		if err != nil {
			return s.send()
		}
	}
}

// rest is what has happened up to now and was not sent yet.
func (s *watchStream) rest(sub *probe.Subscription) []probe.Event {
	end := time.Now().UnixNano()
	settle(s.of)
	return slices.DeleteFunc(sub.Rest(), func(e probe.Event) bool { return e.Time > end })
}

// event sends an event, and before it what its peer is called, if that is new.
func (s *watchStream) event(e *probe.Event) error {
	if k, name, ok := s.of.Peer(e.Peer); ok && e.Peer != 0 {
		if was, known := s.named[e.Peer]; !known || was != name {
			s.named[e.Peer] = name
			if err := s.json(framePeer, watchPeer{ID: e.Peer, PublicKey: k, Name: name}); err != nil {
				return err
			}
		}
	}
	at := s.begin(frameEvent)
	s.buf, _ = e.AppendBinary(s.buf)
	return s.end(at)
}
