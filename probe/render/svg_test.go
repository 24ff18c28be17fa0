package render_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/render"
)

// The pictures of walks are what they were, to the letter.
func TestWalkSVG(t *testing.T) {
	for _, name := range []string{"healthy", "dropped"} {
		golden(t, name+".svg", render.WalkSVG(builtWalk(t, name)))
	}
}

// Whatever names and rules hold, the picture is text in a valid document.
func TestWalkSVGEscapes(t *testing.T) {
	evil := "]]><script>alert(1)</script>\x1b[31m\x00\u202e&amp;\"'" + strings.Repeat("long ", 100) + strings.Repeat("x", 500)
	w := builtWalk(t, "dropped")
	w.Target, w.PeerName, w.Outcome.Summary, w.Steps[3].Title = evil, evil, evil, evil
	for i := range w.Steps {
		s := &w.Steps[i]
		s.Result, s.Evidence = evil, []string{evil}
	}
	d := xml.NewDecoder(bytes.NewReader(render.WalkSVG(w)))
	elements := map[string]bool{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			elements[token.Name.Local] = true
		case xml.CharData:
			if strings.ContainsAny(string(token), "\x1b\x00\u202e") {
				t.Errorf("control characters in %q", token)
			}
		}
	}
	for name := range elements {
		if !slices.Contains([]string{"svg", "title", "style", "rect", "text", "g", "path"}, name) {
			t.Errorf("an element %s", name)
		}
	}
}
