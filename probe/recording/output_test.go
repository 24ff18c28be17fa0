package recording

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// fill writes n events and returns the first error.
func fill(o *Output, n int) error {
	if err := o.Begin(testMeta()); err != nil {
		return err
	}
	events, captured := session()
	for i := range n {
		e := events[i%len(events)]
		e.Seq = uint64(i)
		lost := uint64(0)
		if i == 1 {
			lost = 2
		}
		if err := o.Event(&e, captured[i%len(events)], lost); err != nil {
			return err
		}
	}
	return nil
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestOutputFinishesAtomically(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.pcapng")
	o, err := Create(path, OutputOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path, OutputOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second recording into the same file: %v", err)
	}
	if err := fill(o, 100); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"a.pcapng.part"}) {
		t.Errorf("meanwhile there is %q", got)
	}
	if err := o.Close(Loss{Events: 2}); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"a.pcapng"}) {
		t.Errorf("in the end there is %q", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != o.Bytes() {
		t.Errorf("mode %v, %d bytes, %v; Bytes says %d", info.Mode(), info.Size(), err, o.Bytes())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if r, got, err := read(b); err != io.EOF || len(got) != 100 || !r.Complete() || r.Loss().Events != 2 {
		t.Errorf("%d packets, %v", len(got), err)
	}
}

// What is there stays, whether it was there before or came meanwhile.
func TestOutputOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.pcapng")
	o, err := Create(path, OutputOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(o, 1); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := o.Close(Loss{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Close: %v", err)
	}
	if _, err := Create(path, OutputOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "mine" {
		t.Errorf("the file is now %q, %v", b, err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"a.pcapng", "a.pcapng.part"}) {
		t.Errorf("there is %q: the recording itself must not be lost", got)
	}
	if _, err := Create(dir, OutputOptions{Force: true}); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("into a folder: %v", err)
	}
	o, err = Create(path, OutputOptions{Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(fill(o, 1), o.Close(Loss{})); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"a.pcapng"}) {
		t.Errorf("by force there is %q", got)
	}
}

func TestOutputSize(t *testing.T) {
	const size = 64 << 10
	dir := t.TempDir()
	o, err := Create(filepath.Join(dir, "a.pcapng"), OutputOptions{MaxSize: size})
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(o, 10_000); !errors.Is(err, ErrFull) {
		t.Fatalf("10,000 events into 64 KiB: %v", err)
	}
	if err := o.Close(Loss{}); err != nil {
		t.Fatal(err)
	}
	if o.Bytes() > size || o.Bytes() < size*9/10 {
		t.Errorf("%d bytes of %d", o.Bytes(), size)
	}
}

// Rotated parts are a recording each, follow each other without a gap, and the
// oldest go.
func TestOutputRotates(t *testing.T) {
	const size, events = 64 << 10, 2000
	dir := t.TempDir()
	o, err := Create(filepath.Join(dir, "a.pcapng"), OutputOptions{MaxSize: size, Files: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(fill(o, events), o.Close(Loss{Events: 5})); err != nil {
		t.Fatal(err)
	}
	got := names(t, dir)
	if len(got) != 3 || got[0] == "a.00001.pcapng" {
		t.Fatalf("there is %q", got)
	}
	var all []byte
	var seqs []uint64
	for i, name := range got {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > size+1024 { // and the statistics
			t.Errorf("%s has %d bytes", name, len(b))
		}
		r, packets, err := read(b)
		if err != io.EOF || !r.Complete() || r.Meta().ID != testMeta().ID || i > 0 && r.Meta().Part == 0 {
			t.Errorf("%s: part %d, %v", name, r.Meta().Part, err)
		}
		for _, p := range packets {
			seqs = append(seqs, p.Event.Seq)
		}
		if i == 2 && r.Loss().Events != 3 { // 2 of 5 were told in the first part
			t.Errorf("the last part lacks %d events", r.Loss().Events)
		}
		all = append(all, b...)
	}
	for i := range seqs[1:] {
		if seqs[i+1] != seqs[i]+1 {
			t.Fatalf("event %d follows %d", seqs[i+1], seqs[i])
		}
	}
	if seqs[len(seqs)-1] != events-1 {
		t.Errorf("the last event is %d", seqs[len(seqs)-1])
	}
	if _, packets, err := read(all); err != io.EOF || len(packets) != len(seqs) {
		t.Errorf("behind each other: %d packets, %v", len(packets), err)
	}
}

// Packets of two recordings are not mixed up.
func TestTwoRecordingsInOneFile(t *testing.T) {
	other := testMeta()
	other.ID++
	renamed := bytes.ReplaceAll(record(t, testMeta(), 0), []byte{0xef, 0xbe}, []byte{0xee, 0xbe}) // part of its ID
	for name, b := range map[string][]byte{
		"behind each other": append(record(t, testMeta(), 0), record(t, other, 0)...),
		"merged":            append(record(t, testMeta(), 0), renamed...),
	} {
		if _, _, err := read(b); !errors.Is(err, errMixed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
