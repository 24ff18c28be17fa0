// Package fixtest holds the fixes of many cases against a golden file, for tests of what
// makes them. Fixes are a public contract: people paste their lines, and programs read
// them from JSON.
package fixtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/fix"
)

var update = flag.Bool("update", false, "write the golden files of fixes instead of comparing with them")

// Fixes are the lines of fixes, by case and then by the name of the configuration, whose
// language they are in.
type Fixes map[string]map[string][]string

// Add makes the fix of a case under no configuration, one of wg-quick's, and one in TOML,
// and looks at each of its steps.
func (f Fixes) Add(t *testing.T, name string, of func(config string) fix.Steps) {
	t.Helper()
	if f[name] != nil {
		t.Errorf("two cases are called %q", name)
	}
	f[name] = make(map[string][]string)
	for _, config := range []string{"", "/etc/wireguard/wg0.conf", "/etc/wireguard/wg0.toml"} {
		steps := of(config)
		for _, s := range steps {
			if why := wrong(s); why != "" {
				t.Errorf("%s: a step %s: %+v", name, why, s)
			}
		}
		f[name][filepath.Base(config)] = steps.Lines()
	}
}

// wrong says what is wrong with a step, "" if nothing is.
func wrong(s fix.Step) string {
	isNote, isConfig := s.Kind == fix.KindNote, s.Kind == fix.KindConfig
	switch {
	case (s.Note != "") != isNote:
		return "has a note and is none, or the reverse"
	case (s.Command != "") != (s.Kind == fix.KindCommand || s.Kind == fix.KindCheck):
		return "has a command and is none, or the reverse"
	case (s.Key != "") != (s.Value != "") || s.Key != "" && !isConfig:
		return "has half of a line, or is not one"
	case isConfig && s.Key == "" && s.Where.Section == "":
		return "is a heading without a section"
	case strings.ContainsAny(s.Line(), "\n\t") || s.Line() != strings.TrimSpace(s.Line()):
		return "is not one line"
	}
	return ""
}

// Compare holds the fixes against those of the file.
func (f Fixes) Compare(t *testing.T, file string) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(f); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(b.Bytes(), want) {
		return
	}
	t.Errorf("%s: the fixes are others than they were; if that is meant: go test -run '^%s$' -update", file, t.Name())
	var was, now map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(want, &was), json.Unmarshal(b.Bytes(), &now)); err != nil {
		t.Fatal(err)
	}
	for name := range now {
		if !bytes.Equal(was[name], now[name]) {
			t.Errorf("%s: was %s, is %s", name, was[name], now[name])
		}
	}
	for name := range was {
		if now[name] == nil {
			t.Errorf("%s: is not there any more", name)
		}
	}
}
