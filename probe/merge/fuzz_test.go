package merge

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
)

// hostile reads events from bytes that somebody made up: 128 of each, in the form
// that recordings have, and one that says how many were lost before.
func hostile(b []byte) (log []logged) {
	const size = probe.EventSize + 1
	for ; len(b) >= size; b = b[size:] {
		var l logged
		if l.SetBinary((*[probe.EventSize]byte)(b[1:])) {
			l.lost = uint64(b[0])
			log = append(log, l)
		}
	}
	return log
}

func written(log []logged) (b []byte) {
	for i := range log {
		b = append(b, byte(log[i].lost))
		b, _ = log[i].AppendBinary(b)
	}
	return b
}

// Whatever recordings hold, merging them ends with an error or with a result whose
// figures agree with each other, and that can be printed and drawn.
func FuzzMerge(f *testing.F) {
	for _, ppm := range []float64{0, 300, 1e6} {
		w := newWorld(f, "a", "b")
		w.hosts[1].clock = skewed(37*time.Second, ppm)
		s := w.shake(0, 1)
		exchange(s, 6, func(k int, forth bool) fate { return fate{lost: k == 2, twice: k == 3, late: int64(k%2) * 2e7} })
		f.Add(written(w.hosts[0].log), written(w.hosts[1].log), uint16(ppm))
	}
	f.Fuzz(func(t *testing.T, a, b []byte, flags uint16) {
		w := newWorld(t, "a", "b\x1b[31m")
		w.hosts[0].log, w.hosts[1].log = hostile(a), hostile(b)
		if flags&1 != 0 {
			w.start()
		}
		if flags&2 != 0 {
			w.end()
		}
		if flags&4 != 0 {
			w.hosts[1].host.Peers = append(w.hosts[1].host.Peers, Peer{ID: 2, Key: simKey(1)}, Peer{ID: 1, Key: simKey(0)})
		}
		recs := w.recordings()
		if flags&8 != 0 { // not in order
			recs[0].Open = func() (Source, error) { return &sliceSource{events: hostile(a)}, nil }
		}
		r, err := Merge(t.Context(), recs, Options{})
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
		d := xml.NewDecoder(bytes.NewReader(r.SVG()))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(string(r.SVG()), "\x1b") {
			t.Error("the picture has a control character")
		}
	})
}

func agree(t *testing.T, l *Leg) {
	if l.Sent != l.Arrived+l.Lost+l.Unknown+l.Refused {
		t.Errorf("sent %d, arrived %d, lost %d, unknown %d, refused %d", l.Sent, l.Arrived, l.Lost, l.Unknown, l.Refused)
	}
	if d := l.Delay; d != nil && (d.Variation < 0 || d.Min[0] != nil && d.Min[1] != nil && *d.Min[0] > *d.Min[1]) {
		t.Errorf("delay %+v", d)
	}
}
