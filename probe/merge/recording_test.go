package merge

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe/recording"
)

// file writes what a host recorded into a file, as its part of that number.
func (h *simHost) file(t *testing.T, part int, log []logged) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), h.name+".pcapng")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := h.meta
	m.ID, m.Part = uint64(h.meta.PublicKey[0]), part
	w, err := recording.NewWriter(f, &m)
	if err != nil {
		t.Fatal(err)
	}
	for i := range log {
		if err := w.Event(&log[i].Event, nil, log[i].lost); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.CloseAt(recording.Loss{}, h.end.at); err != nil {
		t.Fatal(err)
	}
	return path
}

// Files say what the events in them said, also where one is divided into parts that
// are named in any order.
func TestFiles(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.start()
	w.now += second
	s := w.shake(0, 1)
	exchange(s, 200, func(k int, forth bool) fate { return fate{lost: forth && k%50 == 49} })
	w.now += 3 * second
	w.end()
	want := w.merge()
	a, b := w.hosts[0], w.hosts[1]
	half := len(a.log) / 2
	paths := []string{a.file(t, 1, a.log[half:]), b.file(t, 0, b.log), a.file(t, 0, a.log[:half])}
	got, err := Merge(t.Context(), paths, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if files := []string{got.Hosts[0].File, got.Hosts[1].File}; !slices.Equal(files, []string{paths[2], paths[1]}) {
		t.Errorf("files %q", files)
	}
	for i := range got.Hosts { // all else is the same
		got.Hosts[i].File = want.Hosts[i].File
	}
	if len(want.Lost) != 4 {
		t.Errorf("%d messages were lost", len(want.Lost))
	}
	if diff := cmp.Diff(indented(t, want), indented(t, got)); diff != "" {
		t.Errorf("by files:\n%s", diff)
	}
}

func indented(t *testing.T, r *Result) string {
	t.Helper()
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What cannot be opened is named, and so is what is given twice.
func TestFilesFail(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.start()
	w.end()
	path := w.hosts[0].file(t, 0, nil)
	text := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(text, []byte("a file of another kind"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		paths []string
		says  string
	}{
		{name: "twice", paths: []string{path, path}, says: path + " and " + path + ": they are the same recording"},
		{name: "missing", paths: []string{path, "/no/such"}, says: "cannot read recording /no/such: no such file"},
		{name: "foreign", paths: []string{text}, says: text + ": "},
	} {
		if _, err := Merge(t.Context(), c.paths, Options{}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// An end that cannot be calculated with is refused, as a beginning is.
func TestCorruptEnd(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.start()
	exchange(w.shake(0, 1), 2, fine)
	w.hosts[1].end.at = time.Unix(0, latestTime+1)
	if _, err := merge(t.Context(), w.recordings(), Options{}); err == nil || !strings.Contains(err.Error(), "b.pcapng: "+errCorrupt.Error()) {
		t.Errorf("got %v", err)
	}
}

// What hosts recorded with the first release, and observed beside their events, is
// judged as that release judged it.
func TestFirstRelease(t *testing.T) {
	first := filepath.Join("..", "recording", "testdata", "v1")
	r, err := Merge(t.Context(), []string{filepath.Join(first, "client.pcapng"), filepath.Join(first, "server.pcapng")}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []map[string]any
	for i := range r.Flows {
		text, err := json.Marshal(&r.Flows[i].Verdict)
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		delete(v, "steps") // which that release did not write
		delete(v, "known")
		verdicts = append(verdicts, v)
	}
	golden, err := os.ReadFile(filepath.Join("testdata", "v1-verdicts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want []map[string]any
	if err := json.Unmarshal(golden, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, verdicts); diff != "" {
		t.Errorf("verdicts of the first release, and now (-want +got):\n%s", diff)
	}
}
