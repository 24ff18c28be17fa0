package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/wgnode/wgnode/node/control"
)

const (
	beat     = 15 * time.Second       // after which a silent stream says that it is there
	taken    = 30 * time.Second       // for a browser to take what is sent
	retry    = 2 * time.Second        // before a browser connects anew
	interval = 500 * time.Millisecond // between two states of a live view
)

var errManyStreams = errors.New("too many live views are open: close some")

// stream is a live view: server-sent events, each one a whole state in JSON, so that one that did
// not come is made up for by the next. It is for one goroutine.
type stream struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	last []byte // of what was sent latest
	at   time.Time
}

// stream has run send states until the browser goes, if there is room for one more.
func (s *Server) stream(run func(ctx context.Context, to *stream) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.streams <- struct{}{}:
		default:
			w.Header().Set("Retry-After", "5")
			control.Refuse(w, http.StatusServiceUnavailable, errManyStreams)
			return
		}
		defer func() { <-s.streams }()
		w.Header().Set("Content-Type", "text/event-stream")
		to := &stream{w: w, rc: http.NewResponseController(w)}
		if err := to.write(fmt.Appendf(nil, "retry: %d\n\n", retry.Milliseconds())); err != nil {
			return // the browser has gone
		}
		err := run(r.Context(), to)
		if err == nil || r.Context().Err() != nil {
			return
		}
		// The page says so, and connects again: a tunnel may come back.
		_ = to.event("trouble", map[string]string{"error": err.Error()})
	}
}

func (s *stream) write(b []byte) error {
	if err := s.rc.SetWriteDeadline(time.Now().Add(taken)); err != nil {
		return err
	}
	// A request that is answered for long is read to its end already.
	if err := s.rc.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	s.at = time.Now()
	return s.rc.Flush()
}

// state sends a state with its time, unless it is as the one before.
func (s *stream) state(at time.Time, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write a state: %w", err)
	}
	if bytes.Equal(b, s.last) {
		if time.Since(s.at) < beat {
			return nil
		}
		return s.write([]byte(": still here\n\n"))
	}
	s.last = b
	return s.write(fmt.Appendf(nil, "event: state\ndata: {\"at\":%q,\"state\":%s}\n\n", at.UTC().Format(time.RFC3339Nano), b))
}

// event sends something else.
func (s *stream) event(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	return s.write(fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, b))
}
