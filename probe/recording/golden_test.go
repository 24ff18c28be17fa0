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
)

// The files in testdata/v1 were written by the first release of the format, and are never
// written again: what is in them must be read by every later release. "client" and
// "server" are of two hosts, of which the server's firewall begins to drop a flow;
// "everything" has each value that a field of an event can have, and observations
// without an empty field. Beside each recording stands what that release read in it.

// golden reads a recording of the first release.
func golden(t *testing.T, name string) (*Reader, []Packet) {
	t.Helper()
	r, packets, err := read(goldenFile(t, name+".pcapng"))
	if err != io.EOF {
		t.Fatal(err)
	}
	return r, packets
}

func goldenFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "v1", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenRecordings(t *testing.T) {
	for _, name := range []string{"client", "server", "everything"} {
		t.Run(name, func(t *testing.T) {
			r, packets := golden(t, name)
			var events []byte
			for i := range packets {
				events = append(eventtext.AppendJSON(events, &packets[i].Event, r.Meta()), '\n')
			}
			if diff := cmp.Diff(string(goldenFile(t, name+".events.jsonl")), string(events)); diff != "" {
				t.Errorf("events:\n%s", diff)
			}
			for what, v := range map[string]any{"meta": r.Meta(), "testimony": r.Observations()} {
				text, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(leaves(t, goldenFile(t, name+"."+what+".json")), leaves(t, text)); diff != "" {
					t.Errorf("%s:\n%s", what, diff)
				}
			}
		})
	}
}

func TestGoldenEnd(t *testing.T) {
	r, packets := golden(t, "everything")
	if want := (Loss{Events: 17, Contents: 4}); r.Loss() != want || !r.Complete() || !r.EndedAt().Equal(start.Add(time.Minute)) {
		t.Errorf("lost %+v, want %+v; complete %v at %v", r.Loss(), want, r.Complete(), r.EndedAt())
	}
	_, captured := session()
	for i, want := range captured {
		if !bytes.HasSuffix(packets[i].Data, want) || packets[i].Lost != uint64(i) {
			t.Errorf("packet %d: %x does not end with %x, or lost %d", i, packets[i].Data, want, packets[i].Lost)
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
	file := goldenFile(t, "client.pcapng")
	_, packets := golden(t, "client")
	first, err := packets[0].Event.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	file[bytes.Index(file, first)+120] = 200
	_, again, err := read(file)
	if err != io.EOF || len(again) != len(packets) || again[0].Event.Seam.String() != "unknown(200)" || again[0].Event.Time != packets[0].Event.Time {
		t.Errorf("%v: %d packets, want %d; the first is %+v", err, len(again), len(packets), again[0].Event)
	}
}
