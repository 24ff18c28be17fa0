package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe/diagnose"
)

// whereabouts writes where a peer is, how that is known, and where it has been.
func (t *text) whereabouts(w *diagnose.Whereabouts, indent int) {
	if w == nil {
		return
	}
	parts := []string{"endpoint " + w.Endpoint.String() + ", " + originText(w)}
	if !w.Heard.IsZero() {
		parts = append(parts, "heard at "+t.clock(w.Heard))
	}
	for i := range w.Earlier {
		was := &w.Earlier[len(w.Earlier)-1-i]
		heard := "not heard there"
		if !was.Heard.IsZero() {
			heard = "heard there at " + t.clock(was.Heard)
		}
		parts = append(parts, fmt.Sprintf("before %s, %s", was.Endpoint, heard))
	}
	t.to(indent)
	t.wrap(dim, strings.Join(parts, "; "), indent+2, "")
}

// clock is a time of day, to the second.
func (t *text) clock(at time.Time) string {
	if t.opt.Location != nil {
		at = at.In(t.opt.Location)
	}
	return at.Format(time.TimeOnly)
}

func originText(w *diagnose.Whereabouts) string {
	text := string(w.Origin)
	switch {
	case w.Origin == diagnose.OriginResolved && len(w.Addresses) > 1:
		text = fmt.Sprintf("one of %d addresses of %s", len(w.Addresses), w.Written)
	case w.Origin == diagnose.OriginResolved:
		text = "resolved from " + w.Written
	case w.Origin == diagnose.OriginLearned && w.Written != "":
		text = "learned from its packets; configured " + w.Written
	case w.Origin == diagnose.OriginLearned:
		text = "learned from its packets"
	case w.Origin == diagnose.OriginUnknown:
		text = "set, or learned from its packets: the kernel does not show which"
	case w.Origin == diagnose.OriginSet:
		text = "set by another program"
	}
	return text
}
