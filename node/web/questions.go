package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/trace"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/rules"
	"github.com/wgnode/wgnode/probe/overview"
	"github.com/wgnode/wgnode/probe/render"
	"github.com/wgnode/wgnode/probe/walk"
)

// questions has mux answer those of the page, below the path at.
//
//	GET    about                what may be done here
//	GET    tunnels              names
//	GET    peer                 PeerAnswer
//	POST   explain              explainQuestion, explainAnswer
//	POST   trace                traceQuestion, traceAnswer
//	GET    drawing/{id}         SVG of an answer
//	GET    codes, code          what verdicts mean
//	GET    live/flows           see flowRequest; a stream of flowState
//
// and those of overviews, recordings and changes.
func (s *Server) questions(mux *http.ServeMux, at string) {
	mux.HandleFunc("GET "+at+"about", ask(s.about))
	mux.HandleFunc("GET "+at+"tunnels", ask(s.tunnels))
	mux.HandleFunc("GET "+at+"peer", ask(s.peer))
	mux.HandleFunc("POST "+at+"explain", ask(s.explain))
	mux.HandleFunc("POST "+at+"trace", ask(s.trace))
	mux.HandleFunc("GET "+at+"drawing/{id}", s.drawing)
	mux.HandleFunc("GET "+at+"codes", ask(listCodes))
	mux.HandleFunc("GET "+at+"code", ask(tellCode))
	mux.HandleFunc("GET "+at+"live/flows", s.flows)
	s.overviews(mux, at)
	s.recordings(mux, at)
	s.changes(mux, at)
}

// about is what the page has to know before it shows anything.
type about struct {
	Changes bool  `json:"changes"`
	Upload  int64 `json:"max_upload"` // bytes
	// Checkpoints are what the names of ladders stand for.
	Checkpoints map[string]string `json:"checkpoints"`
}

func (s *Server) about(http.ResponseWriter, *http.Request) (any, error) {
	a := about{Changes: s.opt.Changes != nil, Upload: maxUpload,
		Checkpoints: make(map[string]string)}
	for _, c := range probe.Checkpoints("") {
		a.Checkpoints[c.String()] = c.Text()
	}
	return a, nil
}

// tunnels are the names of those that can be asked.
func (s *Server) tunnels(_ http.ResponseWriter, r *http.Request) (any, error) {
	names := []string{}
	host, done := s.looking.use()
	defer done()
	all := host.Overview(r.Context(), s.opt.Names, overview.Request{Limit: 1, Few: 1})
	for i := range all.Tunnels {
		if t := &all.Tunnels[i]; t.State == overview.Running {
			names = append(names, t.Interface)
		}
	}
	return names, nil
}

// decode reads a question in JSON, which no form of a page can send unasked.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "application/json" {
		return badQuestion{errors.New("read the question: it is not of type application/json")}
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badQuestion{fmt.Errorf("read the question: %w", err)}
	}
	return nil
}

// with has look ask a tunnel, if it is one that is shown.
func (s *Server) with(name string, look func(*control.Client) error) error {
	if name == "" || len(s.opt.Names) > 0 && !slices.Contains(s.opt.Names, name) {
		return badQuestion{fmt.Errorf("tunnel %q is not shown here", name)}
	}
	host, done := s.looking.use()
	defer done()
	c, err := host.Client(name)
	if err != nil {
		return err
	}
	return look(c)
}

// PeerAnswer is what is known of one peer, from what has passed already.
type PeerAnswer struct {
	Interface string                          `json:"interface"`
	Peer      *diagnose.PeerReport            `json:"peer"`
	Findings  diagnose.List[diagnose.Finding] `json:"findings"` // about the peer, or about all
	At        time.Time                       `json:"at"`
}

var errNoPeer = errors.New("the tunnel has no such peer")

// peer answers with doctor's report of one peer. Nothing is sent.
func (s *Server) peer(_ http.ResponseWriter, r *http.Request) (any, error) {
	name, k := r.FormValue("tunnel"), r.FormValue("key")
	answer := PeerAnswer{Interface: name}
	var err error
	werr := s.do(r.Context(), func() {
		err = s.with(name, func(c *control.Client) error {
			report, err := c.Doctor(r.Context(), explain.DoctorRequest{})
			if err != nil {
				return err
			}
			answer.At = time.Now()
			for i := range report.Peers {
				if report.Peers[i].Peer == k {
					answer.Peer = &report.Peers[i]
				}
			}
			for _, f := range report.Findings {
				if f.Peer.IsZero() || f.Peer.Base64() == k {
					answer.Findings = append(answer.Findings, f)
				}
			}
			return nil
		})
	})
	if err = errors.Join(werr, err); err != nil {
		return nil, fmt.Errorf("doctor of %s: %w", name, err)
	}
	if answer.Peer == nil {
		return nil, badQuestion{errNoPeer}
	}
	return answer, nil
}

// explainQuestion asks what becomes of the packets to a destination.
type explainQuestion struct {
	Tunnel  string `json:"tunnel"`
	Dest    string `json:"dest"`
	Passive bool   `json:"passive,omitempty"` // send nothing, wait for a packet that another host sends
}

// explainAnswer is a report, and what it is called when its fix is to be applied.
type explainAnswer struct {
	Report *diagnose.Report `json:"report"`
	ID     string           `json:"id,omitempty"`
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) (any, error) {
	var q explainQuestion
	if err := decode(w, r, &q); err != nil {
		return nil, err
	}
	report, err := s.explained(r.Context(), &q)
	if err != nil {
		return nil, err
	}
	return s.answered(q, report), nil
}

// answered is the answer with a report, whose fix can be applied if anything may be changed.
func (s *Server) answered(q explainQuestion, report *diagnose.Report) explainAnswer {
	answer := explainAnswer{Report: report}
	if s.opt.Changes != nil && len(report.Verdict.Fix) > 0 && !q.Passive {
		answer.ID = s.told.keep(toldReport{question: q, verdict: report.Verdict})
	}
	return answer
}

func (s *Server) explained(ctx context.Context, q *explainQuestion) (report *diagnose.Report, err error) {
	werr := s.do(ctx, func() {
		err = s.with(q.Tunnel, func(c *control.Client) error {
			req := explain.Request{Passive: q.Passive}
			var err error
			if req.Target, req.UDP, err = s.opt.Target(ctx, q.Tunnel, q.Dest); err != nil {
				return badQuestion{err}
			}
			report, err = c.Explain(ctx, req)
			return err
		})
	})
	if err = errors.Join(werr, err); err != nil {
		return nil, fmt.Errorf("explain %s on %s: %w", q.Dest, q.Tunnel, err)
	}
	return report, nil
}

// traceQuestion asks for a packet to be followed.
type traceQuestion struct {
	Tunnel string `json:"tunnel"`
	Dest   string `json:"dest"`
}

// traceAnswer is a walk, and its drawing.
type traceAnswer struct {
	Walk    *walk.Walk `json:"walk"`
	Drawing string     `json:"drawing"`
}

func (s *Server) trace(w http.ResponseWriter, r *http.Request) (any, error) {
	var q traceQuestion
	if err := decode(w, r, &q); err != nil {
		return nil, err
	}
	var answer traceAnswer
	var err error
	werr := s.do(r.Context(), func() {
		err = s.with(q.Tunnel, func(c *control.Client) error {
			target, udp, err := s.opt.Target(r.Context(), q.Tunnel, q.Dest)
			if err == nil && udp {
				err = errors.New("trace sends TCP or ICMP: give the destination without /udp")
			}
			if err != nil {
				return badQuestion{err}
			}
			answer.Walk, err = c.Trace(r.Context(), trace.Request{Target: target})
			return err
		})
	})
	if err = errors.Join(werr, err); err != nil {
		return nil, fmt.Errorf("trace %s on %s: %w", q.Dest, q.Tunnel, err)
	}
	answer.Drawing = s.drawn.keep(render.WalkSVG(answer.Walk))
	return answer, nil
}

// drawing answers with a drawing that was made for an answer.
func (s *Server) drawing(w http.ResponseWriter, r *http.Request) {
	svg, ok := s.drawn.get(r.PathValue("id"))
	if !ok {
		control.Refuse(w, http.StatusNotFound, errors.New("the drawing is no longer kept: ask again"))
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Content-Security-Policy", drawingPolicy)
	_, _ = w.Write(svg) // who has gone needs no word
}

// codeTitle is a verdict in a list.
type codeTitle struct {
	Code  diagnose.Code  `json:"code"`
	Class diagnose.Class `json:"class"`
	Title string         `json:"title"`
}

func listCodes(http.ResponseWriter, *http.Request) (any, error) {
	all := []codeTitle{}
	for _, c := range diagnose.Codes() {
		doc, _ := c.Doc()
		all = append(all, codeTitle{c, c.Class(), doc.Title})
	}
	return all, nil
}

// codeText is what there is to know about a verdict.
type codeText struct {
	Code        diagnose.Code  `json:"code"`
	Class       diagnose.Class `json:"class"`
	Checkpoints []string       `json:"checkpoints"` // that it may name as the first that did not happen
	diagnose.Doc
}

func tellCode(_ http.ResponseWriter, r *http.Request) (any, error) {
	code := diagnose.Code(r.FormValue("code"))
	doc, ok := code.Doc()
	if !ok {
		return nil, badQuestion{fmt.Errorf("unknown verdict %q", code)}
	}
	text := codeText{Code: code, Class: code.Class(), Checkpoints: []string{}, Doc: doc}
	for _, cp := range rules.Checkpoints(code) {
		text.Checkpoints = append(text.Checkpoints, cp.String())
	}
	return text, nil
}
