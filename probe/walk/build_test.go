package walk_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe/walk"
)

var update = flag.Bool("update", false, "write what is printed now into testdata")

// What programs and eyes get, to the letter.
func TestGolden(t *testing.T) {
	for name, facts := range map[string]*walk.Facts{"healthy": healthy(), "dropped": dropped()} {
		w := walk.Build(facts)
		text, err := json.MarshalIndent(w, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		var back walk.Walk
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, &back); diff != "" {
			t.Errorf("%s changes on its way through JSON:\n%s", name, diff)
		}
		golden(t, name+".json", append(text, '\n'))
	}
}

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
		t.Errorf("%s (go test -update writes it anew):\n%s", path, diff)
	}
}
