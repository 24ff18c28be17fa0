package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/repair"
	"github.com/wgnode/wgnode/probe/fix"
)

// changes has mux answer what changes something, below the path at.
//
//	POST fix/plan    fixQuestion, planAnswer: what would be done
//	POST fix/apply   fixQuestion, explainAnswer: it is done, and asked again
//	POST reload      reloadQuestion, reloadAnswer: what would be done, or it is done
func (s *Server) changes(mux *http.ServeMux, at string) {
	mux.HandleFunc("POST "+at+"fix/plan", ask(s.planFix))
	mux.HandleFunc("POST "+at+"fix/apply", ask(s.applyFix))
	mux.HandleFunc("POST "+at+"reload", ask(s.reload))
}

// fixQuestion is about the fix of an explanation that this server has made. Steps are never those
// of a browser.
type fixQuestion struct {
	ID    string `json:"id"`
	Agree string `json:"agree,omitempty"` // of the plan that the user has agreed to
}

// planAnswer is what would be done.
type planAnswer struct {
	Steps   []string   `json:"steps"`
	Left    []leftStep `json:"left"` // to the user
	Certain bool       `json:"certain"`
	Agree   string     `json:"agree"`
}

type leftStep struct {
	Line string `json:"line"`
	Why  string `json:"why"`
}

var (
	errNoChanges = errors.New("this page may change nothing: start it with --allow-changes")
	errNoReport  = errors.New("the explanation is no longer kept: ask again")
	errNothing   = errors.New("nothing of this fix can be applied from here")
	errOtherPlan = errors.New("what would be done has changed since you agreed to it: look at it again")
)

// plan reads a question about a fix, and finds out what of it can be done.
func (s *Server) plan(w http.ResponseWriter, r *http.Request) (told toldReport, q fixQuestion, plan []repair.Planned, err error) {
	if s.opt.Changes == nil {
		return told, q, nil, badQuestion{errNoChanges}
	}
	if err := decode(w, r, &q); err != nil {
		return told, q, nil, err
	}
	told, ok := s.told.get(q.ID)
	if !ok {
		return told, q, nil, badQuestion{errNoReport}
	}
	return told, q, repair.Plan(r.Context(), told.verdict.Fix, ""), nil
}

func (s *Server) planFix(w http.ResponseWriter, r *http.Request) (any, error) {
	told, _, plan, err := s.plan(w, r)
	if err != nil {
		return nil, err
	}
	doable := repair.Doable(plan)
	answer := planAnswer{Steps: []string{}, Left: []leftStep{}, Certain: told.verdict.Certain, Agree: digest(doable)}
	for i := range doable {
		answer.Steps = append(answer.Steps, doable[i].Line()+doable[i].Where.InFile())
	}
	for i := range plan {
		if plan[i].Why != "" {
			answer.Left = append(answer.Left, leftStep{plan[i].Step.Line(), plan[i].Why})
		}
	}
	return answer, nil
}

// digest tells plans apart: what is applied is what the user has seen.
func digest(steps fix.Steps) string {
	var lines []string
	for i := range steps {
		lines = append(lines, steps[i].Line()+steps[i].Where.InFile())
	}
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}

// applyFix does what can be done of a fix, and asks again. One that fails leaves nothing.
func (s *Server) applyFix(w http.ResponseWriter, r *http.Request) (any, error) {
	told, q, plan, err := s.plan(w, r)
	if err != nil {
		return nil, err
	}
	steps := repair.Doable(plan)
	switch {
	case len(steps) == 0:
		return nil, badQuestion{errNothing}
	case !same(q.Agree, digest(steps)):
		return nil, badQuestion{errOtherPlan}
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	// It is done as a whole, whether or not the browser waits for it.
	ctx := context.WithoutCancel(r.Context())
	var said []string
	_, err = s.opt.Changes.Fixes.Apply(ctx, told.question.Tunnel, string(told.verdict.Code), slices.Clone(steps),
		func(line string) { said = append(said, line) })
	if err != nil {
		return nil, fmt.Errorf("apply the fix: %w", err)
	}
	s.opt.Logger.Info("a fix was applied from the page", "interface", told.question.Tunnel, "for", told.verdict.Code, "steps", said)
	report, err := s.explained(r.Context(), &told.question)
	if err != nil {
		return nil, fmt.Errorf("the fix is applied, and `wgnode undo` reverts it; check whether it has helped: %w", err)
	}
	return s.answered(told.question, report), nil
}

// reloadQuestion asks a node to take over what its file says by now.
type reloadQuestion struct {
	Tunnel string `json:"tunnel"`
	Check  bool   `json:"check,omitempty"` // nothing is to change; the answer says what would
}

type reloadAnswer struct {
	Changed bool   `json:"changed"` // or would be
	Output  string `json:"output"`
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request) (any, error) {
	if s.opt.Changes == nil {
		return nil, badQuestion{errNoChanges}
	}
	var q reloadQuestion
	if err := decode(w, r, &q); err != nil {
		return nil, err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	var answer reloadAnswer
	err := s.with(q.Tunnel, func(c *control.Client) error {
		var out strings.Builder
		changed, err := c.ReloadWith(context.WithoutCancel(r.Context()), control.ReloadRequest{Check: q.Check}, &out)
		answer = reloadAnswer{changed, out.String()}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reload %s: %w", q.Tunnel, err)
	}
	if !q.Check {
		s.opt.Logger.Info("a node was reloaded from the page", "interface", q.Tunnel, "changed", answer.Changed)
	}
	return answer, nil
}
