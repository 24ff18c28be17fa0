package recording

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
)

// testimoniesKept bounds how many testimonies a reader takes.
const testimoniesKept = 1024

// Testimony writes what the host found out beside its events, in a note.
func (w *Writer) Testimony(t *evidence.Observations) error {
	text, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("write testimony: %w", err)
	}
	var e probe.Event
	b, at := w.beginPacket(Note, max(w.last, w.meta.Clock.Started.UnixNano()))
	b = appendNote(b, &e)
	b = endData(b, at, len(b)-at)
	b = appendOption(b, optComment, []byte(about(t)))
	for part := range slices.Chunk(text, maxOption-customHeader-3) {
		b = appendCustom(b, kindTestimony, 0, w.meta.ID, part)
	}
	w.write(endBlock(endOptions(b)))
	return w.err
}

// about says in a comment what a testimony is about.
func about(t *evidence.Observations) string {
	if !t.Target.IsValid() {
		return "what the kernel did with encrypted packets"
	}
	target := t.Target.String()
	if t.Target.Port() == 0 {
		target = t.Target.Addr().String()
	}
	return fmt.Sprintf("what the kernel did with packets to %s, as %s", target, t.Side)
}

// Testimonies are what the host found out beside the events, as far as the recording
// was read: as a rule they stand at its end.
func (r *Reader) Testimonies() []evidence.Observations { return r.testimonies }

// testimony takes one that a note held.
func (r *Reader) testimony(text []byte) error {
	var t evidence.Observations
	if err := json.Unmarshal(text, &t); err != nil {
		return fmt.Errorf("testimony: %w", err)
	}
	if len(r.testimonies) < testimoniesKept {
		r.testimonies = append(r.testimonies, t)
	}
	return nil
}
