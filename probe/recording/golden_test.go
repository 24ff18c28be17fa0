package recording

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/pin"
)

// The files in testdata/v1, v2 and so on were written by the first release of that format,
// and are never written again: what is in them must be read by every later release.
// "client" and "server" are of two hosts, of which the server's firewall begins to drop a
// flow; "everything" has each value that a field of an event could have then, and
// observations without an empty field. Beside each recording stands what that release
// read in it.

// goldenVersions are those of which there are files.
var goldenVersions = []string{"v1", "v2"}

// golden reads a recording of a version.
func golden(t *testing.T, version, name string) (*Reader, []Packet) {
	t.Helper()
	r, packets, err := read(goldenFile(t, version, name+".pcapng"))
	if err != io.EOF {
		t.Fatal(err)
	}
	return r, packets
}

func goldenFile(t *testing.T, version, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", version, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenRecordings(t *testing.T) {
	for _, version := range goldenVersions {
		for _, name := range []string{"client", "server", "everything"} {
			t.Run(version+" "+name, func(t *testing.T) {
				r, packets := golden(t, version, name)
				var events []byte
				for i := range packets {
					events = append(eventtext.AppendJSON(events, &packets[i].Event, r.Meta()), '\n')
				}
				pin.Kept(t, goldenFile(t, version, name+".events.jsonl"), events)
				for what, v := range map[string]any{"meta": r.Meta(), "observations": r.Observations()} {
					text, err := json.Marshal(v)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(leaves(t, goldenFile(t, version, name+"."+what+".json")), leaves(t, text)); diff != "" {
						t.Errorf("%s:\n%s", what, diff)
					}
				}
			})
		}
	}
}

// Since version 2 a recording may have what the kernel drops. What the first release that wrote it
// did write is read as that release read it.
func TestGoldenDrops(t *testing.T) {
	r, packets := golden(t, "v2", "drops")
	var lines []byte
	for i := range packets {
		p := &packets[i]
		if p.Drop == nil {
			lines = append(eventtext.AppendJSON(lines, &p.Event, r.Meta()), '\n')
			continue
		}
		text, err := json.Marshal(p.Drop)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(eventtext.AppendDropJSON(lines, &p.Event, p.Drop.Reason, p.Drop.Text(&p.Event), r.Meta()), '\n')
		lines = append(append(lines, text...), '\n')
	}
	pin.Kept(t, goldenFile(t, "v2", "drops.events.jsonl"), lines)
	if !r.Meta().Drops || r.Loss().Drops != 5 {
		t.Errorf("meta %+v, lost %+v", r.Meta(), r.Loss())
	}
}

func TestGoldenEnd(t *testing.T) {
	for _, version := range goldenVersions {
		r, packets := golden(t, version, "everything")
		if want := (Loss{Events: 17, Contents: 4}); r.Loss() != want || !r.Complete() || !r.EndedAt().Equal(start.Add(time.Minute)) {
			t.Errorf("%s: lost %+v, want %+v; complete %v at %v", version, r.Loss(), want, r.Complete(), r.EndedAt())
		}
		_, captured := session()
		for i, want := range captured {
			if !bytes.HasSuffix(packets[i].Data, want) || packets[i].Lost != uint64(i) {
				t.Errorf("%s: packet %d: %x does not end with %x, or lost %d", version, i, packets[i].Data, want, packets[i].Lost)
			}
		}
	}
}

// routeKinds are the numbers that the first release wrote for kinds of routes.
var routeKinds = map[string]evidence.RouteKind{"1": evidence.RouteFound, "2": evidence.RouteNone, "3": evidence.RouteUnreachable,
	"4": evidence.RouteProhibited, "5": evidence.RouteBlackhole}

// leaves are the values in a JSON text that are not empty, whatever their keys are:
// those of a later format are others.
func leaves(t *testing.T, text []byte) []string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	var found []string
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, v := range v {
				switch key {
				case "format", "version":
				case "Kind":
					walk(string(routeKinds[fmt.Sprint(v)]))
				default:
					walk(v)
				}
			}
		case []any:
			for _, v := range v {
				walk(v)
			}
		default:
			text := fmt.Sprint(v)
			if !slices.Contains([]string{"", "0", "false", "<nil>"}, text) && !strings.HasPrefix(text, "0001-01-01") {
				found = append(found, text)
			}
		}
	}
	walk(v)
	slices.Sort(found)
	return found
}

// An event of a later release, with a seam that this one does not know, is read among
// the others.
func TestNewerEvent(t *testing.T) {
	file := goldenFile(t, "v1", "client.pcapng")
	_, packets := golden(t, "v1", "client")
	first, err := packets[0].Event.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	file[bytes.Index(file, first)+120] = 200
	_, again, err := read(file)
	if err != io.EOF || len(again) != len(packets) || again[0].Event.Seam.String() != "unknown(200)" ||
		again[0].Event.Time != packets[0].Event.Time {
		t.Errorf("%v: %d packets, want %d; the first is %+v", err, len(again), len(packets), again[0].Event)
	}
}
