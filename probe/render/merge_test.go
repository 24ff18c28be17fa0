package render

import (
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/merge"
)

// between are two bounds, both known.
func between[T any](low, high T) [2]*T { return [2]*T{&low, &high} }

func TestMerged(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := &merge.Result{
		Hosts: diagnose.List[merge.HostResult]{
			{Name: "a", Interface: "wg0", File: "a.pcapng", Start: at, End: at.Add(time.Second), Events: 12},
			{Name: "b\x1b[2J", Interface: "wg0", File: "b.pcapng", Start: at, End: at.Add(time.Second), Events: 1},
		},
		Clocks: diagnose.List[merge.Clock]{
			{Host: "b", To: "a", Offset: between[int64](37e9, 37e9+2e6), Skew: between(199.5, 200.25)},
		},
		Links: diagnose.List[merge.Link]{{A: "a", B: "b", Legs: diagnose.List[merge.LinkLeg]{
			{From: "a", To: "b", What: merge.Data, Leg: merge.Leg{Sent: 1000, Arrived: 990, Lost: 9, Unknown: 1, Reordered: 2,
				Delay: &merge.Delay{Min: between[int64](1e6, 2e6), Median: between[int64](1e6, 3e6), Variation: 5e6}}},
		}}},
		Flows: diagnose.List[merge.Flow]{{
			Target: "10.0.0.2:80", Proto: "tcp",
			Ladder: diagnose.List[diagnose.Rung]{
				{Checkpoint: probe.A4, Status: diagnose.Pass, Host: "a", Detail: "data"},
				{Checkpoint: probe.B3, Status: diagnose.Fail, Host: "b"},
			},
			Hops: diagnose.List[merge.Hop]{{A: "a", B: "b", RecordedA: true, RecordedB: true, Forth: merge.Leg{Sent: 9, Lost: 9}}},
			Verdict: diagnose.Verdict{Code: diagnose.LostOnPath, Checkpoint: probe.B3, Where: diagnose.WherePath, Certain: true,
				Summary: "lost between the two"},
		}},
		Lost: diagnose.List[merge.Lost]{
			{From: "a", To: "b", What: merge.Data, Leg: "A4-B3", Receiver: 0x12, Counter: 7},
			{From: "a", To: "b", What: merge.Data, Leg: "A4-B3", Receiver: 0x12, Counter: 8},
			{From: "a", To: "b", What: merge.Data, Leg: "A4-B3", Receiver: 0x12, Counter: 10},
			{From: "a", To: "b", What: merge.Initiation, Leg: "A2-B1", Sender: 0xabc},
		},
		Remarks: diagnose.List[string]{"the recording of b lacks 3 events"},
	}
	var b strings.Builder
	if err := Merged(&b, r, Options{Options: eventtext.Options{Location: time.UTC}, Width: 100}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"a wg0  a.pcapng, 03:04:05.000000 to 03:04:06.000000, 12 events\n",
		`b\x1b[2J wg0  b.pcapng, 03:04:05.000000 to 03:04:06.000000, 1 event` + "\n",
		"the clock of b is between 37s and 37.002s ahead of that of a, and between 199.5 and 200.2 ppm",
		"  a → b data  1000      990     9        1        0          2  1.00 ms to 3.00 ms, longest 5.00 ms more\n",
		"✓ A4 udp-send    a data\n",
		"✗ B3 udp-receive b encrypted data received: did not happen\n",
		"A4-B3 a to b: 9 sent, 0 arrived, 9 lost\n",
		"✗ lost-on-path (network, at B3, between the two hosts, certain)\n",
		"  - A4-B3 a to b data index 0x00000012 counter 7-8, 10\n",
		"  - A2-B1 a to b initiation index 0x00000abc\n",
		"  - the recording of b lacks 3 events\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}
