package render

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/overview"
	"github.com/wgnode/wgnode/probe/timeline"
)

// Who fails comes first, with how often and why; who did not is counted; times are the host's.
func TestHistory(t *testing.T) {
	zone := time.Local
	t.Cleanup(func() { time.Local = zone })
	time.Local = time.UTC
	now := time.Date(2026, 11, 30, 18, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	steady := func(k byte, name string) timeline.Line {
		return timeline.Line{At: ago(20 * time.Hour), What: timeline.Changed, Peer: key.Public{k}, Name: name, State: diagnose.StateUp,
			Code: diagnose.Healthy, Certain: true}
	}
	hub := func(before time.Duration, s diagnose.State, code diagnose.Code, certain bool, summary string) timeline.Line {
		return timeline.Line{At: ago(before), What: timeline.Changed, Peer: key.Public{1}, Name: "hub", State: s, Code: code, Certain: certain,
			Summary: summary}
	}
	lines := timeline.Lines{Lines: []timeline.Line{
		{At: ago(20 * time.Hour), What: timeline.Started}, steady(2, "phone"), steady(3, "\x1b[31mtablet"),
		hub(20*time.Hour, diagnose.StateUp, diagnose.Healthy, true, ""),
		hub(3*time.Hour, diagnose.StateFailing, diagnose.EndpointUnreachable, true, "198.51.100.7 says that 203.0.113.9 cannot be reached"),
		hub(2*time.Hour+55*time.Minute, diagnose.StateUp, diagnose.Healthy, true, ""),
		hub(4*time.Minute, diagnose.StateFailing, diagnose.NoResponse, false, "203.0.113.9:51820 does not answer"),
	}, Damaged: 1}
	r := lines.Report("wg0", ago(24*time.Hour), now)
	const want = `wg0: Nov 29 22:00:00 to Nov 30 18:00:00 (nothing older is known)
! 1 line of the history cannot be read: the disk was full, or the file was
  edited

hub  failing for 4m0s
  failed twice, 9m0s in all: endpoint-unreachable once, no-response once
  2 periods earlier, shown with -v
  Nov 30 15:05:00   2h51m       up
  Nov 30 17:56:00   4m0s        failing  no-response: 203.0.113.9:51820 does not
                                         answer (not certain)

2 other peers did not fail
`
	var b strings.Builder
	if err := History(&b, r, HistoryOptions{Periods: 2}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	b.Reset()
	if err := History(&b, r, HistoryOptions{Steady: true}); err != nil {
		t.Fatal(err)
	}
	for _, has := range []string{"phone  up for 20h0m", "5m0s        failing  endpoint-unreachable: 198.51.100.7"} {
		if !strings.Contains(b.String(), has) {
			t.Errorf("%q is not in\n%s", has, b.String())
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Errorf("a name reaches the terminal as it is: %q", b.String())
	}
	none := (&timeline.Lines{}).Report("wg0", ago(time.Hour), now)
	b.Reset()
	if err := History(&b, none, HistoryOptions{}); err != nil || b.String() != "wg0: nothing is known\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

// A failure whose reason changed is one failure, and says so.
func TestFailedText(t *testing.T) {
	type codes = map[diagnose.Code]int
	for _, c := range []struct {
		failures int
		why      codes
		want     string
	}{
		{1, codes{diagnose.PSKMismatch: 1}, "failed once, 50.8 s in all: psk-mismatch"},
		{1, codes{diagnose.PSKMismatch: 1, diagnose.ResponseNotAccepted: 1},
			"failed once, 50.8 s in all: psk-mismatch and response-not-accepted"},
		{2, codes{diagnose.PSKMismatch: 1, diagnose.NoResponse: 1}, "failed twice, 50.8 s in all: no-response once, psk-mismatch once"},
		{2, codes{diagnose.PSKMismatch: 2, diagnose.NoResponse: 1}, "failed twice, 50.8 s in all: psk-mismatch and no-response"},
	} {
		if got := failedText(c.failures, 50800*time.Millisecond, c.why); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// A fault at a glance says that it is not the first one of late, and the first one does not.
func TestOverviewSaysWhatCameBefore(t *testing.T) {
	peer := overview.Peer{PublicKey: key.Public{1}, Name: "hub", State: diagnose.StateFailing,
		Verdict: &overview.Judgment{Code: diagnose.NoResponse, Summary: "no answer"},
		Past: &overview.Past{Since: time.Now().Add(-time.Hour), Failures: 3, Failing: time.Minute,
			Codes: map[diagnose.Code]int{diagnose.NoResponse: 3}}}
	seen := overview.Overview{Tunnels: []overview.Tunnel{{Interface: "wg0", State: overview.Running, Total: 1, Peers: []overview.Peer{peer}}}}
	text := func() string {
		var b strings.Builder
		if err := Overview(&b, &seen, Options{}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if got := text(); !strings.Contains(got, "failed 3 times, 60.0 s in all: no-response each time\n") {
		t.Errorf("%s", got)
	}
	peer.Past.Failures = 1
	if got := text(); strings.Contains(got, "failed once") {
		t.Errorf("%s", got)
	}
}
