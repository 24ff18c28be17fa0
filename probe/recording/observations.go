package recording

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
)

// observationsKept bounds how many a reader takes from a file. An observer makes two for
// each of 64 flows at most, and one of all messages.
const observationsKept = 1024

// Observed writes what the host found out beside its events, in a note.
func (w *Writer) Observed(o *evidence.Observations) error {
	text, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("write observations: %w", err)
	}
	var e probe.Event
	b, at := w.beginPacket(Note, max(w.last, w.meta.Clock.Started.UnixNano()))
	b = appendNote(b, &e)
	b = endData(b, at, len(b)-at)
	b = appendOption(b, optComment, []byte(about(o)))
	for part := range slices.Chunk(text, maxOption-customHeader-3) {
		b = appendCustom(b, kindObservations, 0, w.meta.ID, part)
	}
	w.write(endBlock(endOptions(b)))
	return w.err
}

// about says in a comment what observations are about.
func about(o *evidence.Observations) string {
	if !o.Target.IsValid() {
		return "what the kernel did with encrypted packets"
	}
	return fmt.Sprintf("what the kernel did with packets to %s, as %s", probe.TargetText(o.Target), o.Side)
}

// Observations are what the host found out beside the events, as far as the recording
// was read: as a rule they stand at its end.
func (r *Reader) Observations() []evidence.Observations { return r.observations }

// observed takes what a note holds.
func (r *Reader) observed(text []byte) error {
	var o evidence.Observations
	if err := json.Unmarshal(text, &o); err != nil {
		return fmt.Errorf("observations: %w", err)
	}
	if len(r.observations) < observationsKept {
		r.observations = append(r.observations, o)
	}
	return nil
}
