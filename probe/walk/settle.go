package walk

import (
	"fmt"
	"slices"
	"time"
)

// settle makes the statuses agree. What comes after a loss was not reached, and
// what comes before something that was seen was passed. In between is what was not
// seen: that ends at the next event of the tunnel, which would have been seen.
func (b *builder) settle() {
	end := b.first(Lost)
	hidden := end < 0
	if hidden {
		end = b.lastSeen()
	}
	for i := range b.steps {
		s := &b.steps[i]
		if i > end+1 && s.Checkpoint != "" {
			hidden = false
		}
		switch {
		case i <= end && s.Status == Unknown:
			s.Status = Pass
		case i > end && hidden:
			s.Status = Unknown
		case i > end:
			s.Status, s.Result, s.Evidence, s.Time = NotReached, "", nil, time.Time{}
		}
		if i > end && s.Checkpoint != "" {
			hidden = false
		}
		if s.Evidence == nil {
			s.Evidence = []string{}
		}
	}
}

// lastSeen returns the place of the last step that the packet is known to have
// passed. A routing decision is known also of a packet that did not get there.
func (b *builder) lastSeen() int {
	last := 0
	for i := range b.steps {
		s := &b.steps[i]
		if s.Status == Pass && (s.Place != Routing && s.Place != Rerouting || i == last+1) {
			last = i
		}
	}
	return last
}

// first returns the place of the first step with a status, -1 if none has it.
func (b *builder) first(st Status) int {
	return slices.IndexFunc(b.steps, func(s Step) bool { return s.Status == st })
}

func (b *builder) outcome() Outcome {
	lost, hidden := b.first(Lost), b.first(Unknown)
	switch {
	case b.f.InnerError != "" && lost == len(b.steps)-1:
		return Outcome{Step: lost + 1, Summary: "lost behind the tunnel: " + b.f.InnerError}
	case lost >= 0 && b.astray && b.steps[lost].Zone == Application:
		s := &b.steps[lost]
		o := Outcome{Step: s.Number, Summary: fmt.Sprintf("past the tunnel at step %d, %s: %s", s.Number, s.Title, s.Result)}
		if b.f.Answer.Answered {
			o.Summary += "; it was answered out there"
		}
		return o
	case lost >= 0:
		s := &b.steps[lost]
		return Outcome{Step: s.Number, Summary: fmt.Sprintf("lost at step %d, %s: %s", s.Number, s.Title, s.Result)}
	case hidden > 0:
		s, last := &b.steps[hidden], &b.steps[hidden-1]
		o := Outcome{Step: s.Number, Summary: fmt.Sprintf("last seen at step %d, %s; then ", last.Number, last.Title)}
		if b.f.Blind != "" && s.Checkpoint == "" {
			o.Summary += "not visible: " + b.f.Blind
		} else {
			o.Summary += fmt.Sprintf("%s: %s", s.Title, s.Result)
		}
		return o
	}
	return Outcome{Answered: true, RTT: b.f.Answer.Took, Summary: "the reply came back: " + b.steps[len(b.steps)-1].Result}
}
