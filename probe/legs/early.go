package legs

import (
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
)

const (
	earlyKept = 4096
	earlyTime = 5 * time.Second
)

// catchUp takes the events of a probe that have come before it was known: they and the probes
// come from different sources, and a later packet of the probe must not be taken for its first.
func (t *Tracker) catchUp(p *tracked) {
	var of []probe.Event
	t.early = slices.DeleteFunc(t.early, func(e probe.Event) bool {
		if p.at[atSent]-e.Time > int64(earlyTime) {
			return true
		}
		if k, _, _ := t.match(&e); k != p.key || e.Time < p.at[atSent] {
			return false
		}
		of = append(of, e)
		return true
	})
	for i := range of {
		t.Event(&of[i], false)
	}
}

// keepEarly keeps an event for the probe that it may be of.
func (t *Tracker) keepEarly(e *probe.Event) {
	if len(t.early) >= earlyKept {
		t.early = slices.Delete(t.early, 0, earlyKept/2)
	}
	t.early = append(t.early, *e)
}
