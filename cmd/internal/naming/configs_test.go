package naming

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestNamesIn(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"wg0.json", "wg1.json", "home.json", ".wg2.json.tmp", "wg3.sock", "no name.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for prefix, want := range map[string][]string{
		"": {"home", "wg0", "wg1"}, "wg": {"wg0", "wg1"}, "x": nil,
	} {
		if got := namesIn(dir, ".json", prefix); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", prefix, got, want)
		}
	}
	if got := namesIn(filepath.Join(dir, "none"), ".json", ""); got != nil {
		t.Errorf("of a folder that is not there: %q", got)
	}
}
