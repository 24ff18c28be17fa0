package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/wgnode/wgnode/probe/walk"
)

// Walk writes w as text: a numbered line for each step of the packet and of its
// reply with what came of it, by what evidence below, and how it ended. The error
// is that of out.
func Walk(out io.Writer, w *walk.Walk, opt Options) error {
	t := text{opt: &opt}
	t.heading(w.Interface, w.Target, w.Peer, w.PeerName)
	t.newline()
	t.level(w.Level)
	var leg walk.Leg
	var zone walk.Zone
	for i := range w.Steps {
		s := &w.Steps[i]
		if s.Leg != leg || s.Zone != zone {
			t.newline()
			t.put(dim, legWords[s.Leg]+", "+zoneWords[s.Zone])
			t.newline()
			leg, zone = s.Leg, s.Zone
		}
		t.step(s)
	}
	t.newline()
	outcome := failed
	if w.Outcome.Answered {
		outcome = passed
	}
	t.sign(outcome)
	t.to(2)
	t.wrap(outcome.style, w.Outcome.Summary, 2, "")
	for _, note := range w.Notes {
		t.put(yellow, "! ")
		t.wrap(plain, note, 2, "")
	}
	return t.writeTo(out)
}

var (
	legWords  = map[walk.Leg]string{walk.Out: "the packet", walk.Back: "the reply"}
	zoneWords = map[walk.Zone]string{walk.Application: "as the application knows it", walk.Tunnel: "in the tunnel",
		walk.Network: "encrypted"}
)

const stepTitle = 5 // column of a step's title

func (t *text) step(s *walk.Step) {
	t.put(dim, fmt.Sprintf("%2d ", s.Number))
	t.stepMark(s.Status)
	t.to(stepTitle)
	if s.Status == walk.NotReached {
		t.put(dim, s.Title)
		t.put(dim, ": not reached")
		t.newline()
		return
	}
	t.put(bold, s.Title)
	if s.Checkpoint != "" {
		t.put(plain, " ")
		t.put(cyan, s.Checkpoint)
	}
	if s.Result != "" {
		t.put(plain, ": ")
		st := plain
		if s.Status == walk.Lost {
			st = red
		}
		t.wrap(st, s.Result, stepTitle+2, "")
	} else {
		t.newline()
	}
	for _, e := range s.Evidence {
		line := strings.TrimLeft(e, " ")
		indent := stepTitle + 2 + len(e) - len(line)
		t.to(indent)
		t.wrap(dim, line, indent+2, "")
	}
}

func (t *text) stepMark(s walk.Status) {
	switch s {
	case walk.Pass:
		t.sign(passed)
	case walk.Lost:
		t.sign(failed)
	case walk.NotReached:
		t.sign(skipped)
	default:
		t.sign(unclear)
	}
}
