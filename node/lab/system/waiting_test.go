//go:build linux

package system

import (
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/patience"
)

// Who waits at a terminal is told for what, as long as there is nothing else to
// show. A script is not.
func TestSaysWhatItWaitsFor(t *testing.T) {
	lab.Need(t, "script")
	t.Parallel()
	s := newSite(t, false)
	s.Up(s.A, s.ConfA)
	// That nothing was seen is no fault that was found, and no health either.
	var r diagnose.Report
	if status := s.Ask(s.A, &r, "explain", "wg0", "10.0.0.2", "--passive", "--timeout", "1s"); status != 1 || r.Verdict.Code != diagnose.Idle {
		t.Errorf("status %d, %s", status, r.Verdict.Code)
	}
	says(t, s.A, 1, []string{s.Wgnode, "explain", "wg0", "10.0.0.2", "--passive", "--timeout", "1s"},
		"wgnode: no verdict: no matching packet was seen\n")
	// An ICMP error would settle what is asked before anything is waited for.
	sitetest.NFT(s.H, "input", "udp dport 51820 drop")
	for args, want := range map[string]string{
		"watch wg0 tcp port 9":           "wgnode: waiting for packets of wg0; Ctrl-C ends ...",
		"explain wg0 10.0.0.2 --passive": "wgnode: waiting for packets to 10.0.0.2 for up to",
		"explain wg0 10.0.0.2":           "wgnode: probing 10.0.0.2 for up to",
		"trace wg0 10.0.0.2":             "wgnode: waiting for the reply of 10.0.0.2 for up to",
		"doctor wg0 --for 10s":           "wgnode: watching wg0 for 10s ...",
	} {
		t.Run(args, func(t *testing.T) {
			p := s.A.Start("script", "-qefc", s.Wgnode+" "+args, "/dev/null")
			p.WaitOutput(patience.Context(t), want)
			p.Stop()
		})
	}
}
