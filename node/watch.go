package node

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
)

// lostMark begins the lines of a watch that are no events. No event's line, of
// text or JSON, begins so.
const lostMark = "#lost "

const (
	watchBatch = 256 // events
	// MaxPeerWidth is how wide the column of peers becomes in a watch.
	MaxPeerWidth = 16
)

// watch streams events as lines, of JSON or, with format=text, of text as
// ladder renders it (color=1 with colours). filter=WORD, repeated, says which;
// past=1 begins with what the flight recorder holds; every=N leaves out all packets
// but one of N. The node does the filtering, so that what nobody wants costs nothing on the way.
//
// A line "#lost N" says how many events this reader has missed by then because
// it was too slow. Each stream begins with one, so that the reader knows that
// it is being served, and ends with one when the client shuts down its half of
// the connection or the node ends.
func (t controlTask) watch(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	match, err := t.n.compile(q["filter"])
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	every := uint64(1)
	if v := q.Get("every"); v != "" {
		if every, err = strconv.ParseUint(v, 10, 32); err != nil || every == 0 {
			refuse(w, http.StatusBadRequest, fmt.Errorf("every: %q is no number of packets", v))
			return
		}
	}
	render := t.renderer(q.Get("format") == "text", q.Get("color") == "1")
	sub := t.n.tun.Recorder().Subscribe(probe.SubscribeOptions{Past: q.Get("past") == "1", Match: match, Every: every})
	defer sub.Close()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := stream(r.Context(), w, sub, render); err != nil {
		t.n.opt.Logger.Debug("watcher gone", "interface", t.n.name, "error", err)
	}
}

func (t controlTask) renderer(text, color bool) func([]byte, *probe.Event) []byte {
	if !text {
		return func(b []byte, e *probe.Event) []byte { return eventtext.AppendJSON(b, e, t.n.tun) }
	}
	opt := eventtext.Options{Color: color}
	for _, p := range t.n.tun.Peers() {
		opt.PeerWidth = min(max(opt.PeerWidth, len([]rune(p.Name))), MaxPeerWidth)
	}
	return func(b []byte, e *probe.Event) []byte { return eventtext.AppendLine(b, e, t.n.tun, &opt) }
}

// stream writes events until ctx ends or the reader is gone.
func stream(ctx context.Context, w http.ResponseWriter, sub *probe.Subscription, render func([]byte, *probe.Event) []byte) error {
	out := http.NewResponseController(w)
	events := make([]probe.Event, watchBatch)
	buf := append(strconv.AppendUint([]byte(lostMark), 0, 10), '\n')
	lost := uint64(0)
	for {
		if _, err := w.Write(buf); err != nil {
			return fmt.Errorf("write events: %w", err)
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("write events: %w", err)
		}
		n, err := sub.Read(ctx, events)
		buf = buf[:0]
		if now := sub.Lost(); now != lost || err != nil {
			lost = now
			buf = append(strconv.AppendUint(append(buf, lostMark...), lost, 10), '\n')
		}
		if err != nil {
			_, err := w.Write(buf)
			return err
		}
		for i := range events[:n] {
			buf = append(render(buf, &events[i]), '\n')
		}
	}
}
