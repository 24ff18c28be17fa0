//go:build linux

package faults

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/probe/walk"
)

// essence is what two walks of the same way have in common. Encrypted messages are joined
// as they come, so that the size of what a hook sees varies.
func essence(w *walk.Walk) string {
	var b strings.Builder
	varies := regexp.MustCompile(`\d+ bytes|counter \d+|sport \d+|:\d{5}\b|` +
		`(?i)[0-9a-f:]+ (router )?(REACHABLE|STALE|DELAY|PROBE)|after [\d.]+ ?\pL+`)
	for _, s := range w.Steps {
		fmt.Fprintf(&b, "%d %s %s %s\n%s\n", s.Number, s.Title, s.Status, s.Result, strings.Join(s.Evidence, "\n"))
	}
	return varies.ReplaceAllString(b.String(), "*")
}

// Other traffic through the tunnel, 100 Mbit/s each way, makes no difference:
// neither to a walk that ends well nor to one that does not.
func TestTraceInTraffic(t *testing.T) {
	lab.Need(t, "iperf3")
	t.Parallel()
	s := fullTunnel(t, false)
	s.session()
	target := s.IP(s.Addr.B)
	quiet := s.trace(target)
	healthy(t, s, quiet)
	flood := func(meanwhile func()) {
		t.Helper()
		server := s.H.Start("iperf3", "-s", "-1", "--forceflush")
		server.WaitOutput(t.Context(), "listening")
		client := s.A.Start("iperf3", "-c", s.Inner(2), "-b", "100M", "-t", "60", "--bidir", "--forceflush")
		client.WaitOutput(t.Context(), "0.00-1.0") // it flows
		meanwhile()
		client.Stop()
		server.Stop()
	}
	flood(func() {
		var w *walk.Walk
		patience.See(t, "a trace of a packet that the full tunnel does not drop", func() (string, bool) {
			w = s.trace(target)
			return w.Outcome.Summary, !strings.Contains(w.Outcome.Summary, probe.StagedOverflow.String())
		})
		healthy(t, s, w)
		if diff := cmp.Diff(essence(quiet), essence(w)); diff != "" {
			t.Error(diff)
		}
		s.Want(s.Explain(target), diagnose.Healthy, "")
	})
	sitetest.NFT(s.A, "input", "icmp type echo-reply drop")
	flood(func() {
		w := s.trace(target)
		says(t, step(t, w, walk.Back, walk.Application, walk.Input), "icmp type echo-reply drop")
		if w.Outcome.Answered {
			t.Errorf("%+v", w.Outcome)
		}
		s.Want(s.Explain(target), diagnose.InputFirewall, "icmp type echo-reply drop")
	})
}
