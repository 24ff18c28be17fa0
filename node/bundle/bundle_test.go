package bundle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/bundle"
	"github.com/wgnode/wgnode/probe/recording"
	"github.com/wgnode/wgnode/probe/redact"
)

// A part that cannot be had, does not end, or is too large keeps no other from being had.
func TestParts(t *testing.T) {
	text := func(s string, err error) func(context.Context) ([]byte, error) {
		return func(context.Context) ([]byte, error) { return []byte(s), err }
	}
	var told []string
	o := bundle.Options{Secrets: redact.NewSecrets(), Told: func(p bundle.Part) { told = append(told, p.Name) }, Sources: []bundle.Source{
		{Name: "none", Kind: bundle.Foreign, Get: text("", errors.New("there is none"))},
		{Name: "some", Kind: bundle.Foreign, Get: text("half of it", errors.New("there was no more"))},
		{Name: "stuck", Kind: bundle.Foreign, Time: 1, Get: func(ctx context.Context) ([]byte, error) {
			<-ctx.Done()
			return []byte("what there was"), ctx.Err()
		}},
		{Name: "deaf", Kind: bundle.Foreign, Time: 1, Get: func(context.Context) ([]byte, error) { select {} }},
		{Name: "head", Kind: bundle.Foreign, Limit: 4, Get: text("0123456789", nil)},
		{Name: "tail", Kind: bundle.Foreign, Limit: 4, Tail: true, Get: text("0123456789", nil)},
		{Name: "bad.json", Kind: bundle.Own, Get: text("{", nil)},
		{Name: "good", Kind: bundle.Foreign, Get: text("good", nil)},
	}}
	var out bytes.Buffer
	index, err := bundle.Write(t.Context(), &out, o)
	if err != nil {
		t.Fatal(err)
	}
	all := files(t, out.Bytes())
	for name, want := range map[string]string{"some": "half of it", "stuck": "what there was", "head": "0123", "tail": "6789",
		"good": "good"} {
		if got := string(all[name]); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, p := range index.Parts {
		missing := map[string]bool{"none": true, "some": true, "stuck": true, "deaf": true, "bad.json": true}[p.Name]
		if (p.Missing != "") != missing || p.Cut != (p.Name == "head" || p.Name == "tail") || p.Size != len(all[p.Name]) {
			t.Errorf("%+v", p)
		}
	}
	if len(told) != len(o.Sources) {
		t.Errorf("told of %q", told)
	}
	var again bundle.Index
	if err := json.Unmarshal(all[bundle.IndexName], &again); err != nil || len(again.Parts) != len(index.Parts) {
		t.Errorf("%v, %+v", err, again)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bundle.Write(ctx, io.Discard, o); !errors.Is(err, context.Canceled) {
		t.Errorf("broken off: %v", err)
	}
}

// What is read again of a bundle, as a whole and as a recording.
func TestRead(t *testing.T) {
	h := newHost(3)
	o := bundle.Options{Secrets: redact.NewSecrets(), Index: bundle.Index{Host: "a"}, Sources: []bundle.Source{
		{Name: bundle.DoctorName, Kind: bundle.Own, Get: func(context.Context) ([]byte, error) {
			return []byte(`{"schema":1,"interface":"wg0","findings":[],"peers":[]}`), nil
		}},
		{Name: bundle.RecordingName, Kind: bundle.Recording, Limit: 1 << 20, Get: func(context.Context) ([]byte, error) {
			return h.recording(t), nil
		}},
	}}
	var out bytes.Buffer
	if _, err := bundle.Write(t.Context(), &out, o); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "b.tar.gz")
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(out.Bytes())
	c, err := bundle.Read(path)
	if err != nil || c.Doctor == nil || c.Doctor.Interface != "wg0" || !c.Recorded || c.Explain != nil || c.Index.Host != "a" {
		t.Errorf("%v, %+v", err, c)
	}
	f, err := recording.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Next(); err != nil || f.Meta().Host != "secret-host" {
		t.Errorf("%v, %+v", err, f.Meta())
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	for name, b := range map[string][]byte{"recording": h.recording(t), "text": []byte("text"), "nothing": nil,
		"gzip alone": out.Bytes()[:10]} {
		write(b)
		if _, err := bundle.Read(path); !errors.Is(err, bundle.ErrNone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	write(out.Bytes()[:len(out.Bytes())/2]) // cut off
	if _, err := bundle.Read(path); err == nil {
		t.Error("a bundle that was cut off is read")
	}
	o.Sources = o.Sources[:1]
	out.Reset()
	if _, err := bundle.Write(t.Context(), &out, o); err != nil {
		t.Fatal(err)
	}
	write(out.Bytes())
	if _, err := recording.Open(path); !errors.Is(err, recording.ErrNotInBundle) || !strings.Contains(fmt.Sprint(err), path) {
		t.Error(err)
	}
}
