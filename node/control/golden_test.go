package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/node/control/controltest"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/pin"
	"github.com/wgnode/wgnode/probe/recording"
	"github.com/wgnode/wgnode/probe/walk"
)

// What is in testdata/v1 was sent over the control socket by the first release of the
// protocol: a client of a later one must understand it, as a node that runs may be
// older than the program that asks it.

func goldenFile(t *testing.T, name string) []byte {
	t.Helper()
	return goldenOf(t, "v1", name)
}

func goldenOf(t *testing.T, version, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", version, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The frames of a recording become a recording, with all that is in them. Those of
// version 2 say the same as the first.
func TestGoldenRecord(t *testing.T) {
	for _, version := range []string{"v1", "v2"} {
		t.Run(version, func(t *testing.T) { testGoldenRecord(t, goldenOf(t, version, "record.frames")) })
	}
}

func testGoldenRecord(t *testing.T, sent []byte) {
	var file bytes.Buffer
	into := recording.To(&file)
	f := &recordFrames{into: into}
	if err := readFrames(bytes.NewReader(sent), f.take); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if err := into.Close(f.lost.Loss); err != nil {
		t.Fatal(err)
	}
	r, packets := controltest.ReadAll(t, file.Bytes())
	var events []byte
	for i := range packets {
		events = append(eventtext.AppendJSON(events, &packets[i].Event, r.Meta()), '\n')
	}
	pin.Kept(t, goldenFile(t, "record.jsonl"), events)
	m := r.Meta()
	if m.Host != "h" || m.Interface != "wg0" || m.ListenPort != 51820 || len(m.Peers) != 1 || m.Peers[0].Name != "alice" ||
		len(r.Observations()) != 2 {
		t.Errorf("meta %+v, %d observations", m, len(r.Observations()))
	}
	text, err := json.Marshal(r.Observations())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"inet culprit c (filter hook forward priority 0, policy accept)", "198.51.100.1:51821",
		"192.168.200.22:80", "REACHABLE"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is in no observations", want)
		}
	}
}

// The lines of a watch come out as they are, but for the marks that say what was lost.
func TestGoldenWatch(t *testing.T) {
	for _, name := range []string{"watch.jsonl", "watch.txt"} {
		text := string(goldenFile(t, name))
		var want strings.Builder
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "#lost ") {
				want.WriteString(line)
			}
		}
		var out strings.Builder
		f := watchFrames{into: &controltest.EventLines{W: &out}}
		if err := f.lines(strings.NewReader(text)); f.lost.Events != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("%s: lost %d, %v", name, f.lost.Events, err)
		}
		if diff := cmp.Diff(want.String(), out.String()); diff != "" || want.Len() == 0 {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// The frames of a watch, which are its version 2, become events: written as JSON they
// have all that they had. A later release may add keys.
func TestGoldenWatchFrames(t *testing.T) {
	var out bytes.Buffer
	f := watchFrames{into: &controltest.EventLines{W: &out}, names: make(watchNames)}
	if err := readFrames(bytes.NewReader(goldenOf(t, "v2", "watch.frames")), f.take); !errors.Is(err, io.EOF) || f.lost.Events != 3 {
		t.Fatalf("lost %d, %v", f.lost.Events, err)
	}
	pin.Kept(t, goldenOf(t, "v2", "watch.jsonl"), out.Bytes())
}

// A client that is too old for the frames of a recording learns it from the node; of a
// node that is too new it finds out by itself.
func TestRecordVersions(t *testing.T) {
	q := (&RecordRequest{}).query()
	if _, err := parseRecordRequest(q); err != nil {
		t.Error(err)
	}
	q.Del("frames")
	if _, err := parseRecordRequest(q); !errors.Is(err, errOldClient) {
		t.Errorf("a client of the first release: %v", err)
	}
	f := &recordFrames{into: recording.To(io.Discard)}
	newer := []byte(fmt.Sprintf(`{"format":%d}`, recording.Format+1))
	if err := f.take(frameMeta, newer); !errors.Is(err, errFrame) || !strings.Contains(err.Error(), "format") {
		t.Errorf("a newer node: %v", err)
	}
}

// The answers are read without loss: written again they have every key and value that
// they had. A later release may add keys.
func TestGoldenAnswers(t *testing.T) {
	for name, into := range map[string]any{
		"status.json": new(Status), "peers.json": new([]PeerName), "doctor.json": new(diagnose.DoctorReport),
		"explain.json": new(diagnose.Report), "explain-idle.json": new(diagnose.Report),
		"trace.json": new(walk.Walk), "trace-fault.json": new(walk.Walk),
	} {
		t.Run(name, func(t *testing.T) {
			text := goldenFile(t, name)
			if err := json.Unmarshal(text, into); err != nil {
				t.Fatal(err)
			}
			again, err := json.Marshal(into)
			if err != nil {
				t.Fatal(err)
			}
			pin.Kept(t, text, again)
		})
	}
}
