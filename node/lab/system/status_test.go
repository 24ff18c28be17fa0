//go:build linux

package system

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/overview"
	"github.com/wgnode/wgnode/probe/patience"
)

// On a host with a hub of many peers, of which one works and some do not, status shows those that
// do not first and doctor folds them, and either counts those that have nothing to say.
func TestHubAtAGlance(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	const broken, idle = 5, 25
	for i := range broken + idle {
		s.ConfA.Text += fmt.Sprintf("[Peer]\n# Name = phone %d\nPublicKey = %s\nAllowedIPs = 10.77.0.%d/32\n", i, lab.NewKey(t).Public, i+1)
		if i < broken { // where nothing listens
			s.ConfA.Text += fmt.Sprintf("Endpoint = 127.0.0.1:%d\nPersistentKeepalive = 1\n", i+1)
		}
	}
	s.Up(s.H, s.ConfH)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	if out := s.A.Run(s.Wgnode, "up", "wg0"); !strings.Contains(out, "[#] ip -4 route add PREFIX dev wg0  # 31 prefixes, from ") ||
		strings.Contains(out, "10.77.0.20/32 dev") {
		t.Errorf("up is not short:\n%s", out)
	}
	s.A.Run("curl", "-sS", "http://"+s.Web())

	var seen overview.Overview
	patience.Until(t, "all that is broken has been found", func() bool {
		if status := s.Ask(s.A, &seen, "status"); status != 0 || len(seen.Tunnels) != 1 {
			t.Fatalf("status %d, %+v", status, seen)
		}
		return seen.Tunnels[0].Counts[diagnose.StateFailing] == broken
	})
	all := seen.Tunnels[0]
	if all.Total != broken+idle+1 || all.Idle != idle || len(all.Peers) != all.Total || all.Kind != overview.KindNode {
		t.Errorf("%+v", all)
	}
	works := &all.Peers[broken]
	if works.State != diagnose.StateUp || works.Name != "gateway" || works.RTT == nil || works.RxBytes == 0 {
		t.Errorf("after the faults comes %+v", works)
	}
	for i := range broken {
		if p := &all.Peers[i]; p.Verdict == nil || p.Verdict.Code != diagnose.EndpointPortClosed || !p.Verdict.Certain || p.Idle {
			t.Errorf("%+v", p)
		}
	}
	counts := fmt.Sprintf("31 peers: %d failing, 1 up, %d idle", broken, idle)
	text := s.A.Run(s.Wgnode, "status", "wg0")
	for _, want := range []string{"wg0  running  wgnode, level device, ", counts, "\n  ✗ phone 0  failing ", "endpoint-port-closed: ",
		"\n  ✓ gateway  up ", "25 of 31 idle, not listed\n", "what to do: wgnode doctor wg0 'phone 0'\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	says(t, s.A, 0, []string{s.Wgnode}, counts, "`wgnode --help` lists the commands")
	if text := s.A.Run(s.Wgnode, "status", "--peer", "gateway"); strings.Contains(text, "phone") || !strings.Contains(text, "gateway") {
		t.Errorf("of one peer:\n%s", text)
	}
	says(t, s.A, 1, []string{s.Wgnode, "status", "--peer", "nobody"}, `no peer is called "nobody"`)

	lines := s.A.Run("sh", "-c", s.Wgnode+" status --watch --interval 200ms --json --state failing | head -n 2")
	for line := range strings.Lines(lines) {
		if err := sitetest.Decode(t, "status", line, &seen); err != nil || len(seen.Tunnels[0].Peers) != broken {
			t.Errorf("%v in %s", err, line)
		}
	}
	if strings.Count(lines, "\n") != 2 {
		t.Errorf("not two lines:\n%s", lines)
	}

	says(t, s.A, 2, []string{s.Wgnode, "doctor"}, "✗ 5 peers: endpoint-port-closed (", "\n  phone 0, phone 1, phone 2, phone 3, phone 4\n",
		"one of them: phone 0  ", "? 25 peers: idle\n", "and 13 more\n")
	says(t, s.A, 2, []string{s.Wgnode, "doctor", "phone 3"}, "peer phone 3  ", "✗ endpoint-port-closed (")
	says(t, s.A, 0, []string{s.Wgnode, "doctor", "wg0", "gateway"}, "peer gateway  ", "✓ A2 udp-send")
	var one diagnose.DoctorReport
	if status := s.Ask(s.A, &one, "doctor", "gateway"); status != 0 || len(one.Peers) != 1 || one.Peers[0].PeerName != "gateway" {
		t.Errorf("status %d, %+v", status, one.Peers)
	}
}
