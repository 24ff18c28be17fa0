package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe/overview"
)

// The pages ask for so many peers of each tunnel, at most, and idle ones are counted where there
// are many.
const (
	usualPeers = 100
	mostPeers  = 1000
	fewPeers   = 50
)

// overviews has mux answer for what there is at a glance.
//
//	GET live/overview    overview.Request as its query, tunnel=NAME; a stream of overview.Overview
func (s *Server) overviews(mux *http.ServeMux, at string) {
	mux.HandleFunc("GET "+at+"live/overview", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		tunnels := q["tunnel"]
		q.Del("tunnel")
		req, err := overviewRequest(q)
		if err != nil {
			refuseQuestion(w, err)
			return
		}
		s.stream(func(ctx context.Context, to *stream) error { return s.watchOverview(ctx, to, tunnels, req) })(w, r)
	})
}

func overviewRequest(q url.Values) (overview.Request, error) {
	req, err := overview.ParseRequest(q)
	if err != nil {
		return req, badQuestion{err}
	}
	if req.Limit == 0 {
		req.Limit = usualPeers
	}
	req.Limit, req.Wait = min(req.Limit, mostPeers), 0
	if req.Few == 0 && req.Sort == overview.SortFaults && req.Peer == "" {
		req.Few = fewPeers
	}
	return req, nil
}

// watchOverview sends what there is, at most so often as somebody can read it.
func (s *Server) watchOverview(ctx context.Context, to *stream, tunnels []string, req overview.Request) error {
	names := s.opt.Names
	if len(tunnels) > 0 {
		names = tunnels
		for _, n := range names {
			if len(s.opt.Names) > 0 && !slices.Contains(s.opt.Names, n) {
				return fmt.Errorf("tunnel %q is not shown here", n)
			}
		}
	}
	host, done := s.looking.use()
	defer done()
	const pause = time.Second
	for {
		began := time.Now()
		all := host.Overview(ctx, names, req)
		if ctx.Err() != nil {
			return nil
		}
		at := all.At
		all.At = time.Time{} // a state that is the same at another time is no other one
		for i := range all.Tunnels {
			all.Tunnels[i].VerdictsAt = all.Tunnels[i].VerdictsAt.Truncate(time.Minute)
		}
		if err := to.state(at, all); err != nil {
			return nil // the browser has gone
		}
		// A host that takes long to answer is asked less often: it has better things to do.
		select {
		case <-time.After(max(pause, 9*time.Since(began))):
		case <-ctx.Done():
			return nil
		}
	}
}
