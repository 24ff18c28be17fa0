package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/wgnode/wgnode/node/bundle"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/merge"
	"github.com/wgnode/wgnode/probe/recording"
	"github.com/wgnode/wgnode/probe/render"
)

// recordings has mux answer questions about recordings, below the path at.
//
//	GET    recordings           []file
//	POST   recordings?name=     a recording's bytes, file
//	DELETE recordings/{id}
//	GET    recording?id=        recordingAnswer
//	POST   recording            recordedQuestion, explainAnswer
//	POST   merge                mergeQuestion, mergeAnswer
func (s *Server) recordings(mux *http.ServeMux, at string) {
	mux.HandleFunc("GET "+at+"recordings", ask(func(http.ResponseWriter, *http.Request) (any, error) { return s.files.list(), nil }))
	mux.HandleFunc("POST "+at+"recordings", ask(s.take))
	mux.HandleFunc("DELETE "+at+"recordings/{id}", ask(func(_ http.ResponseWriter, r *http.Request) (any, error) {
		return struct{}{}, s.files.remove(r.PathValue("id"))
	}))
	mux.HandleFunc("GET "+at+"recording", ask(s.recording))
	mux.HandleFunc("POST "+at+"recording", ask(s.explainRecording))
	mux.HandleFunc("POST "+at+"merge", ask(s.merge))
}

// take keeps a recording that was dropped onto the page.
func (s *Server) take(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.Header.Get("Content-Type") != "application/octet-stream" {
		return nil, badQuestion{errors.New("keep the recording: it is not of type application/octet-stream")}
	}
	name := r.FormValue("name")
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	return s.files.take(name, r.ContentLength, http.MaxBytesReader(w, r.Body, maxUpload))
}

// recordingAnswer is what a recording, or a bundle, says of its peers.
type recordingAnswer struct {
	File *file `json:"file"`
	// Doctor judges by the end of the recording; of a bundle it is what doctor said on its host.
	Doctor *diagnose.DoctorReport `json:"doctor"`
	// Bundle is what a bundle says of itself; Explained is what its host was asked.
	Bundle    *bundle.Index    `json:"bundle,omitempty"`
	Explained *diagnose.Report `json:"explained,omitempty"`
	Lost      uint64           `json:"lost_events,omitempty"`
	Complete  bool             `json:"complete"` // it was read to its end, and not cut off
}

func (s *Server) recording(_ http.ResponseWriter, r *http.Request) (any, error) {
	found, err := s.files.find(r.FormValue("id"))
	if err != nil {
		return nil, err
	}
	answer := &recordingAnswer{File: found[0]}
	return answer, s.read(r.Context(), found, func() error { return answer.read() })
}

// read has what reads recordings done. Its errors name them as the user does.
func (s *Server) read(ctx context.Context, of []*file, read func() error) error {
	for _, f := range of {
		f.reading.RLock()
		defer f.reading.RUnlock()
	}
	var err error
	werr := s.do(ctx, func() { err = read() })
	for _, f := range of {
		if err != nil {
			err = f.called(err)
		}
	}
	if err != nil { // a file that cannot be read stays so
		err = badQuestion{err}
	}
	return errors.Join(werr, err)
}

func (a *recordingAnswer) read() error {
	c, err := bundle.Read(a.File.path)
	if err != nil && !errors.Is(err, bundle.ErrNone) {
		return err
	}
	if c != nil {
		a.Bundle, a.Doctor, a.Explained = c.Index, c.Doctor, c.Explain
		if a.Complete = true; a.Doctor != nil || !c.Recorded {
			return nil
		}
	}
	f, err := recording.Open(a.File.path)
	if err != nil {
		return err
	}
	defer f.Close() // it was only read
	if a.Doctor, err = explain.DoctorRecording(f.Reader); err != nil {
		return fmt.Errorf("%s: %w", a.File.path, err)
	}
	a.Lost, a.Complete = f.Loss().Events, f.Complete()
	return nil
}

// recordedQuestion asks what became of the packets to a destination.
type recordedQuestion struct {
	ID   string `json:"id"`
	Dest string `json:"dest"`
}

func (s *Server) explainRecording(w http.ResponseWriter, r *http.Request) (any, error) {
	var q recordedQuestion
	if err := decode(w, r, &q); err != nil {
		return nil, err
	}
	found, err := s.files.find(q.ID)
	if err != nil {
		return nil, err
	}
	var answer explainAnswer
	return &answer, s.read(r.Context(), found, func() error {
		f, err := recording.Open(found[0].path)
		if err != nil {
			return err
		}
		defer f.Close() // it was only read
		var req explain.Request
		if req.Target, req.UDP, err = recordedTarget(f.Meta(), q.Dest); err != nil {
			return err
		}
		answer.Report, err = explain.ExplainRecording(f.Reader, req)
		return err
	})
}

// recordedTarget reads a destination: an address, or the name of a peer that has one of its own.
func recordedTarget(m *recording.Meta, dest string) (netip.AddrPort, bool, error) {
	dest, udp := strings.CutSuffix(dest, "/udp")
	if target, err := parseAddress(dest); err == nil {
		return target, udp, nil
	}
	host, port := dest, ""
	if i := strings.LastIndexByte(dest, ':'); i >= 0 {
		host, port = dest[:i], dest[i+1:]
	}
	for i := range m.Peers {
		for _, p := range m.Peers[i].AllowedIPs {
			if m.Peers[i].Name != host || !p.IsSingleIP() {
				continue
			}
			if port == "" {
				return netip.AddrPortFrom(p.Addr(), 0), udp, nil
			}
			target, err := netip.ParseAddrPort("[" + p.Addr().String() + "]:" + port)
			if p.Addr().Is4() {
				target, err = netip.ParseAddrPort(p.Addr().String() + ":" + port)
			}
			if err == nil {
				return target, udp, nil
			}
		}
	}
	return netip.AddrPort{}, false, fmt.Errorf("destination %q: want ADDRESS, ADDRESS:PORT, or the name of a peer in the recording", dest)
}

// parseAddress reads ADDRESS or ADDRESS:PORT.
func parseAddress(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(a, 0), nil
	}
	return netip.ParseAddrPort(s)
}

// mergeQuestion asks for recordings to be merged.
type mergeQuestion struct {
	IDs []string `json:"ids"`
	To  string   `json:"to,omitempty"` // only flows to this ADDRESS[:PORT]
}

// mergeAnswer is the merge, and the drawing of its first flow.
type mergeAnswer struct {
	Result  *merge.Result `json:"result"`
	Drawing string        `json:"drawing"`
}

func (s *Server) merge(w http.ResponseWriter, r *http.Request) (any, error) {
	var q mergeQuestion
	if err := decode(w, r, &q); err != nil {
		return nil, err
	}
	if len(q.IDs) < 2 {
		return nil, badQuestion{errors.New("merge: it needs two recordings")}
	}
	var opt merge.Options
	if q.To != "" {
		target, err := parseAddress(q.To)
		if err != nil {
			return nil, badQuestion{fmt.Errorf("merge: destination %q: want ADDRESS or ADDRESS:PORT", q.To)}
		}
		opt.Target = target
	}
	found, err := s.files.find(q.IDs...)
	if err != nil {
		return nil, err
	}
	var answer mergeAnswer
	return &answer, s.read(r.Context(), found, func() error {
		paths := make([]string, len(found))
		for i, f := range found {
			paths[i] = f.path
		}
		var err error
		if answer.Result, err = merge.Merge(r.Context(), paths, opt); err != nil {
			return err
		}
		for i := range answer.Result.Hosts {
			for _, f := range found {
				if h := &answer.Result.Hosts[i]; h.File == f.path {
					h.File = f.Name
				}
			}
		}
		answer.Drawing = s.drawn.keep(render.MergedSVG(answer.Result))
		return nil
	})
}
