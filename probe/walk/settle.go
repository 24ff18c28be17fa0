package walk

import (
	"fmt"
	"slices"
	"time"
)

// settle makes the statuses agree. What comes after a loss was not reached. What comes
// before something that was seen, and was not seen itself, stays so: that it was passed is
// said, and not what met the packet there. In between is what was not seen at all: that ends
// at the next event of the tunnel, which would have been seen.
func (b *builder) settle() {
	end := b.first(Lost)
	hidden := end < 0
	if hidden {
		end = b.lastSeen()
	}
	b.end = end
	for i := range b.steps {
		s := &b.steps[i]
		if i > end+1 && s.Checkpoint != "" {
			hidden = false
		}
		switch {
		case i <= end && s.Status == Unknown && s.Place == Stack:
			s.Status = Pass // there is nothing to be seen
		case i < end && s.Status == Unknown && b.passedBefore(i, end):
			s.Result += "; it is seen later"
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

// passedBefore reports whether the packet, or its answer, was seen between a step and the
// last that is known of.
func (b *builder) passedBefore(step, end int) bool {
	return slices.ContainsFunc(b.steps[step+1:end+1], func(s Step) bool { return s.Status == Pass })
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
	lost, hidden := b.first(Lost), -1
	if i := slices.IndexFunc(b.steps[b.end+1:], func(s Step) bool { return s.Status == Unknown }); i >= 0 {
		hidden = b.end + 1 + i
	}
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
