package merge_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/merge"
	"github.com/wgnode/wgnode/probe/render"
)

// Whatever recordings hold, merging them ends with an error or with a result whose
// figures agree with each other, and that can be printed and drawn.
func FuzzMerge(f *testing.F) {
	for _, s := range merge.Seeds(f) {
		f.Add(s.A, s.B, s.Flags)
	}
	f.Fuzz(func(t *testing.T, a, b []byte, flags uint16) {
		r, err := merge.MergeHostile(t, a, b, flags)
		if err != nil {
			return
		}
		for i := range r.Links {
			for j := range r.Links[i].Legs {
				agree(t, &r.Links[i].Legs[j].Leg)
			}
		}
		for i := range r.Flows {
			for j := range r.Flows[i].Hops {
				agree(t, &r.Flows[i].Hops[j].Forth)
				agree(t, &r.Flows[i].Hops[j].Back)
			}
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
		if err := render.Merged(io.Discard, r, render.Options{}); err != nil {
			t.Error(err)
		}
		svg := render.MergedSVG(r)
		d := xml.NewDecoder(bytes.NewReader(svg))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(string(svg), "\x1b") {
			t.Error("the picture has a control character")
		}
	})
}

func agree(t *testing.T, l *merge.Leg) {
	if l.Sent != l.Arrived+l.Lost+l.Unknown+l.Refused {
		t.Errorf("sent %d, arrived %d, lost %d, unknown %d, refused %d", l.Sent, l.Arrived, l.Lost, l.Unknown, l.Refused)
	}
	if d := l.Delay; d != nil && (d.Variation < 0 || d.Min[0] != nil && d.Min[1] != nil && *d.Min[0] > *d.Min[1]) {
		t.Errorf("delay %+v", d)
	}
}
