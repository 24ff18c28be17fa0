package render_test

import (
	"io"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/merge"
	"github.com/wgnode/wgnode/probe/render"
	"github.com/wgnode/wgnode/probe/walk"
)

// What is known less of than of wgnode's own device is said to be, with what cannot be told.
func TestLevel(t *testing.T) {
	for _, l := range []probe.Level{"", probe.LevelDevice, probe.LevelExact, probe.LevelHalf, probe.LevelCapture, "unheard-of"} {
		want := ""
		if l.Meaning() != "" {
			want = "level " + string(l) + ": "
		}
		for name, write := range map[string]func(io.Writer) error{
			"report": func(w io.Writer) error { return render.Report(w, &diagnose.Report{Level: l}, render.Options{}) },
			"doctor": func(w io.Writer) error { return render.Doctor(w, &diagnose.DoctorReport{Level: l}, render.Options{}) },
			"walk":   func(w io.Writer) error { return render.Walk(w, &walk.Walk{Level: l}, render.Options{}) },
			"merge": func(w io.Writer) error {
				return render.Merged(w, &merge.Result{Hosts: []merge.HostResult{{Level: l}}}, render.Options{})
			},
		} {
			var b strings.Builder
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			if said := strings.Contains(b.String(), "level "); said != (want != "") || !strings.Contains(b.String(), want) {
				t.Errorf("%s of level %q says\n%s", name, l, b.String())
			}
		}
	}
	if probe.LevelDevice.Copies() || probe.LevelExact.Copies() || !probe.LevelHalf.Copies() || !probe.LevelCapture.Copies() {
		t.Error("copies are those of levels half and capture")
	}
}
