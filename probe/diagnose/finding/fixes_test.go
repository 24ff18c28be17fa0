package finding

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var updateFixes = flag.Bool("update", false, "write the fixes of the golden file instead of comparing them")

// goldenFixes are the fixes of many cases as JSON has them, by case and then by the
// language of the configuration.
type goldenFixes map[string]map[string][]string

// add looks at f, whose finding is one, under a configuration of each language.
func (g goldenFixes) add(t *testing.T, name string, f *Facts) {
	t.Helper()
	if g[name] != nil {
		t.Errorf("two cases are called %q", name)
	}
	g[name] = make(map[string][]string)
	for _, config := range []string{"", "/etc/wireguard/wg0.conf", "/etc/wireguard/wg0.toml"} {
		f.Config = config
		b, err := json.Marshal(All(f)[0])
		if err != nil {
			t.Fatal(err)
		}
		var found struct{ Fix []string }
		if err := json.Unmarshal(b, &found); err != nil {
			t.Fatal(err)
		}
		g[name][filepath.Base(config)] = found.Fix
	}
}

// compare holds the fixes against those of testdata/fixes.json.
func (g goldenFixes) compare(t *testing.T) {
	t.Helper()
	path := filepath.Join("testdata", "fixes.json")
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(g); err != nil {
		t.Fatal(err)
	}
	if *updateFixes {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s: the fixes are others than they were; if that is meant: go test -run %s -update\n%s", path, t.Name(), b.Bytes())
	}
}
