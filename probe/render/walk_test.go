package render_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/render"
	"github.com/wgnode/wgnode/probe/walk"
)

var ansi = regexp.MustCompile("\x1b\\[[0-9]*m")

var update = flag.Bool("update", false, "write what is printed now into testdata")

// builtWalk is one that package walk has built.
func builtWalk(t *testing.T, name string) *walk.Walk {
	t.Helper()
	b, err := os.ReadFile("../walk/testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	w := new(walk.Walk)
	if err := json.Unmarshal(b, w); err != nil {
		t.Fatal(err)
	}
	return w
}

// golden compares what was written with a file, to the letter.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (go test -update writes it):\n%s", path, diff)
	}
}

func TestWalk(t *testing.T) {
	var b bytes.Buffer
	if err := render.Walk(&b, builtWalk(t, "dropped"), render.Options{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "walk.txt", b.Bytes())
}

// In every style the words are the same, and nothing steers the terminal but the
// colours that were asked for.
func TestWalkStyles(t *testing.T) {
	w := builtWalk(t, "dropped")
	w.PeerName, w.Steps[2].Evidence = "evil\x1b[2J", []string{"  a rule\x1b]0;\a"}
	for _, o := range []render.Options{{}, {Options: eventtext.Options{ASCII: true}}, {Options: eventtext.Options{Color: true}}, {Width: 40}} {
		var b bytes.Buffer
		if err := render.Walk(&b, w, o); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if strings.ContainsAny(text, "\a\r") || strings.Contains(text, "\x1b[2J") || !o.Color && strings.Contains(text, "\x1b") {
			t.Errorf("%+v: control characters in\n%q", o, text)
		}
		if o.ASCII && strings.ContainsFunc(text, func(r rune) bool { return r > 0x7e }) {
			t.Errorf("not ASCII:\n%s", text)
		}
		for _, want := range []string{"cryptokey routing", "application: not reached", `evil\x1b[2J`} {
			if !strings.Contains(ansi.ReplaceAllString(text, ""), want) {
				t.Errorf("%+v: %q is missing in\n%s", o, want, text)
			}
		}
	}
}
