package compare

import (
	"encoding/xml"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseEntry(t *testing.T) {
	for _, test := range []struct {
		text string
		want Entry // the zero Entry for an error
	}{
		{"go=wireguard-go -f", Entry{Name: "go", Daemon: Command{"wireguard-go", "-f", "{}"}}},
		{"go=env A={}.log wireguard-go -f wg0", Entry{Name: "go", Daemon: Command{"env", "A={}.log", "wireguard-go", "-f", "wg0"}}},
		{"watched=wgnode device & wgnode watch {}", Entry{
			Name: "watched", Daemon: Command{"wgnode", "device", "{}"}, Alongside: Command{"wgnode", "watch", "{}"},
		}},
		{"wireguard-go", Entry{}},
		{"=wireguard-go", Entry{}},
		{"go=", Entry{}},
		{"go=wireguard-go & ", Entry{}},
	} {
		got, err := ParseEntry(test.text)
		if (err != nil) != (test.want.Name == "") {
			t.Errorf("%q: error %v", test.text, err)
		}
		if diff := cmp.Diff(test.want.Daemon, got.Daemon); diff != "" {
			t.Errorf("%q: daemon (-want +got):\n%s", test.text, diff)
		}
		if len(got.Alongside) != len(test.want.Alongside) {
			t.Errorf("%q: alongside %q", test.text, got.Alongside)
		}
	}
	got := Command{"a", "{}", "x{}y"}.For("wg7")
	if want := []string{"a", "wg7", "xwg7y"}; !cmp.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestReport has a machine that is twice as fast in its second round. Only
// ratios within a round show that "b" takes nine tenths of "a" in both.
func TestReport(t *testing.T) {
	r := Report{Machine: "a machine", Entries: []Entry{{Name: "a"}, {Name: "b"}, {Name: "c", Against: "b"}}, Rounds: 2, Seconds: 1}
	for round, speed := range []float64{1e9, 2e9} {
		for name, share := range map[string]float64{"a": 1, "b": 0.9, "c": 0.45} {
			bytes := speed * share / 8
			r.Samples = append(r.Samples,
				Sample{Round: round + 1, Entry: name, Workload: "tcp", Bytes: bytes, Seconds: 1, CPU: 1},
				Sample{Round: round + 1, Entry: name, Workload: "udp", Bytes: bytes, Packets: bytes / 1000, Seconds: 1, CPU: 1},
			)
		}
	}
	r.Summarise()
	var table strings.Builder
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	const want = `a machine; 2 rounds of 1 s

workload  metric    unit        a                b                   c                 b / a               c / b
tcp       received  Gbit/s      1.5 [1-2]        1.35 [0.9-1.8]      0.675 [0.45-0.9]  0.9 [0.9-0.9]       0.5 [0.5-0.5]
tcp       CPU       s/GB        6 [4-8]          6.67 [4.44-8.89]    13.3 [8.89-17.8]  1.11 [1.11-1.11]    2 [2-2]
udp       received  kpackets/s  188 [125-250]    169 [112-225]       84.4 [56.2-112]   0.9 [0.9-0.9]       0.5 [0.5-0.5]
udp       CPU       s/GB        6 [4-8]          6.67 [4.44-8.89]    13.3 [8.89-17.8]  1.11 [1.11-1.11]    2 [2-2]
`
	// How wide the columns are is not the point.
	if diff := cmp.Diff(lines(want), lines(table.String())); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func lines(text string) (all [][]string) {
	for line := range strings.Lines(text) {
		all = append(all, strings.Fields(line))
	}
	return all
}

func TestSpreadTakesTheMiddle(t *testing.T) {
	if got, want := spread([]float64{9, 1, 2}), (Spread{Median: 2, Min: 1, Max: 9}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := spread(nil); got != (Spread{}) {
		t.Errorf("of nothing: %v", got)
	}
}

func TestPlotIsWellFormed(t *testing.T) {
	p := Plot{X: "bytes & <flows>", Y: "Gbit/s", Values: []int{1, 100, 10_000}, Lines: []Line{
		{Entry: "a<b", Points: []Spread{{1, 0.5, 1.5}, {2, 2, 2}, {3.7, 3, 4.1}}},
		{Entry: "none", Points: []Spread{{}, {}, {}}},
	}}
	var svg strings.Builder
	if err := WriteSVG(&svg, []Plot{p, {}}); err != nil {
		t.Fatal(err)
	}
	var texts []string
	d := xml.NewDecoder(strings.NewReader(svg.String()))
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, svg.String())
		}
		if text, ok := token.(xml.CharData); ok {
			texts = append(texts, string(text))
		}
	}
	for _, want := range []string{"bytes & <flows>", "a<b", "10000", "4"} {
		if !slices.Contains(texts, want) {
			t.Errorf("the drawing does not say %q", want)
		}
	}
	if strings.Contains(svg.String(), "NaN") || strings.Contains(svg.String(), "Inf") {
		t.Error("a coordinate is no number")
	}
}

func TestRoundStep(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 0.3: 0.5, 1: 1, 1.1: 2, 4: 5, 6: 10, 70: 100} {
		if got := roundStep(v); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v: got %v, want %v", v, got, want)
		}
	}
}
