package plan

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The journals in testdata/v1 were written by the first release of the format, for a
// full tunnel with name servers and for a gateway with a kill switch. A later release
// must be able to undo what they say: a node may have died before the upgrade.
func TestGoldenJournals(t *testing.T) {
	for _, name := range []string{"full-tunnel", "gateway"} {
		t.Run(name, func(t *testing.T) {
			j, err := OpenJournal(goldenCopy(t, name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var undo strings.Builder
			for _, s := range j.Steps {
				if line := s.UndoString(); line != "" {
					undo.WriteString(line + "\n")
				}
			}
			want, err := os.ReadFile(filepath.Join("testdata", "v1", name+".undo"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), undo.String()); diff != "" {
				t.Errorf("to be undone:\n%s", diff)
			}
			if j.Link != "wg0" || !j.Complete || j.Process.PID == 0 || j.Process.Start == 0 || j.LinkIndex == 0 && name == "full-tunnel" ||
				(j.Guard.PID != 0) != (name == "gateway") || !strings.HasPrefix(j.Config, "/etc/wireguard/wg0.") || j.Mark() != 51820 || !j.WasUp() {
				t.Errorf("journal is read as %+v", j.journalFile)
			}
		})
	}
}

// A step that only a later release knows is not taken for undone: the journal keeps it
// for that release, and all the rest is undone.
func TestUndoKeepsUnknownSteps(t *testing.T) {
	j, err := OpenJournal(goldenCopy(t, "full-tunnel.json"))
	if err != nil {
		t.Fatal(err)
	}
	j.Steps = append(j.Steps[:1:1], Step{Op: "later"})
	err = (&Runner{Kernel: &fake{}}).Undo(t.Context(), j) // the link is gone
	if want := `undo unknown step "later": only the release of wgnode that did it knows how`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if kept, err := OpenJournal(j.path); err != nil || len(kept.Steps) != 1 || kept.Steps[0].Op != "later" {
		t.Errorf("the journal holds %+v, %v", kept, err)
	}
}

// The parameters that several nodes share are read as they were written.
func TestGoldenParameters(t *testing.T) {
	path := goldenCopy(t, "parameters")
	p := &parameters{own: &Journal{path: filepath.Join(filepath.Dir(path), "wg0.json")}}
	want := parameter{Value: "1", Before: "0", Users: []string{"wg0"}}
	names := []string{"net.ipv4.conf.all.src_valid_mark", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"}
	if err := p.locked(func(all map[string]*parameter, _ func() error) error {
		for _, name := range names {
			if got := all["net:[4026532180] "+name]; got == nil || !reflect.DeepEqual(*got, want) {
				t.Errorf("%s: %+v, want %+v", name, got, want)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// goldenCopy copies a file of testdata to where, and as, a node would have written it.
func goldenCopy(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "v1", name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
