package main

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"testing"

	"github.com/wgnode/wgnode/cmd/internal/conffile"
	"github.com/wgnode/wgnode/cmd/internal/diagnosis"
	"github.com/wgnode/wgnode/cmd/internal/lifecycle"
	"github.com/wgnode/wgnode/node/bundle"
	"github.com/wgnode/wgnode/node/droplist"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/legs"
	"github.com/wgnode/wgnode/probe/merge"
	"github.com/wgnode/wgnode/probe/overview"
	"github.com/wgnode/wgnode/probe/schema/schematest"
	"github.com/wgnode/wgnode/probe/timeline"
	"github.com/wgnode/wgnode/probe/walk"
)

var update = flag.Bool("update", false, "write the documents in docs/schema instead of comparing them")

// documents are those of docs/schema: what each command prints with --json.
var documents = []schematest.Document{
	{Name: "explain", Title: "wgnode explain --json", Type: reflect.TypeFor[diagnosis.BothReport](), Forms: diagnose.JSONForms()},
	{Name: "doctor", Title: "wgnode doctor --json; of several tunnels an array of these",
		Type: reflect.TypeFor[diagnosis.DoctorReport](), Forms: diagnose.JSONForms()},
	{Name: "status", Title: "wgnode status --json: with --watch each line", Type: reflect.TypeFor[overview.Overview]()},
	{Name: "history", Title: "wgnode history --json", Type: reflect.TypeFor[timeline.Report]()},
	{Name: "trace", Title: "wgnode trace --json", Type: reflect.TypeFor[walk.Walk]()},
	{Name: "merge", Title: "wgnode merge --json", Type: reflect.TypeFor[merge.Result](), Forms: diagnose.JSONForms()},
	{Name: "code", Title: "wgnode explain CODE --json, wgnode help CODE --json", Type: reflect.TypeFor[diagnosis.CodeReport]()},
	{Name: "watch", Title: "wgnode watch --json: each line", Type: reflect.TypeFor[eventtext.Object]()},
	{Name: "apply", Title: "wgnode apply --json", Type: reflect.TypeFor[lifecycle.ApplyResult]()},
	{Name: "check", Title: "wgnode check --json", Type: reflect.TypeFor[conffile.CheckResult]()},
	{Name: "init", Title: "wgnode init --json", Type: reflect.TypeFor[conffile.FirstFile]()},
	{Name: "peer-add", Title: "wgnode peer add --json", Type: reflect.TypeFor[conffile.AddedPeer]()},
	{Name: "peer-list", Title: "wgnode peer list --json", Type: reflect.TypeFor[conffile.PeerList]()},
	{Name: "ping", Title: "wgnode ping --json", Type: reflect.TypeFor[legs.Report]()},
	{Name: "bundle", Title: "wgnode bundle --json, index.json of a bundle", Type: reflect.TypeFor[bundle.Index]()},
	{Name: "drops", Title: "wgnode drops --json: each line", Type: reflect.TypeFor[droplist.Row]()},
}

// The documents say what the types say.
func TestSchemasAreUpToDate(t *testing.T) {
	for _, d := range documents {
		want, err := schematest.Generate(&d)
		if err != nil {
			t.Fatal(err)
		}
		path, err := schematest.Path(d.Name)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the types of today make it (%v): go test ./cmd/wgnode -run TestSchemas -update", path, err)
		}
	}
}
