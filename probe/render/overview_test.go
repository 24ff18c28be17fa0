package render_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/overview"
	"github.com/wgnode/wgnode/probe/render"
)

// aHub is a host with a hub of 200 peers, a device of the kernel's, a tunnel that has died and one
// of another user.
func aHub() *overview.Overview {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	var peers []overview.Peer
	for i := range 200 {
		p := overview.Peer{PublicKey: key.Public{byte(i), 1}, State: diagnose.StateStale, Idle: true, Handshake: now.Add(-time.Hour),
			Verdict: &overview.Judgment{Code: diagnose.Idle}}
		switch i {
		case 7:
			p.Name, p.State, p.Idle = "the office in the old town", diagnose.StateFailing, false
			p.Endpoint = netip.MustParseAddrPort("203.0.113.7:51820")
			p.Verdict = &overview.Judgment{Code: diagnose.NoResponse, Summary: "the peer does not answer: 3 initiations were sent"}
		case 8:
			p.Name, p.State, p.Idle = "evil\x1b[31m\nname", diagnose.StateFailing, false
			p.Verdict = &overview.Judgment{Code: diagnose.PSKMismatch, Certain: true, Summary: "the preshared keys differ"}
		case 9:
			p.Name, p.State, p.Idle = "ipv6", diagnose.StateUp, false
			p.Endpoint = netip.MustParseAddrPort("[2001:db8:1234:5678:9abc:def0:1234:5678%eth0]:51820")
			p.Handshake, p.RTT = now.Add(-90*time.Second), &overview.RTT{Took: 23 * time.Millisecond}
			p.Rates = &overview.Rates{Rx: 1.5e6, Tx: 999, Over: time.Second}
			p.Verdict = &overview.Judgment{Code: diagnose.Healthy, Healthy: true}
		}
		peers = append(peers, p)
	}
	hub := overview.Tunnel{Interface: "wg0", Kind: overview.KindNode, State: overview.Running, Level: probe.LevelDevice, PID: 4711,
		ListenPort: 51820, VerdictsAt: now}
	hub.Select(peers, &overview.Request{Few: 20, Limit: 50})
	kernel := overview.Tunnel{Interface: "wg1", Kind: overview.KindKernel, State: overview.Running, Level: probe.LevelHalf,
		Less: "no rights to watch it: CAP_BPF", VerdictsAt: now.Add(-time.Minute)}
	kernel.Select([]overview.Peer{{PublicKey: key.Public{9}, State: diagnose.StateNeverSeen, Idle: true}}, &overview.Request{})
	return &overview.Overview{At: now, Tunnels: []overview.Tunnel{hub, kernel,
		{Interface: "wg2", Kind: overview.KindNode, State: "dead", Error: "wg2 (pid 12) died and left its kill switch up: wgnode recover wg2",
			Advice: []string{"until then the kill switch lets nothing leave this host; `wgnode up wg2` brings the tunnel back instead"}},
		{Interface: "wg3", State: "foreign", Error: "wg3 belongs to root: only that user can query it"}},
		Unseen: []string{"nodes of other users"}}
}

// Each peer has one line, no line is longer than the terminal, faults come first, and what others
// have written does nothing to a terminal.
func TestOverviewFits(t *testing.T) {
	for _, ascii := range []bool{false, true} {
		for _, width := range []int{40, 60, 80, 100, 200} {
			var b strings.Builder
			opt := render.Options{Width: width}
			opt.ASCII = ascii
			if err := render.Overview(&b, aHub(), opt); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				line = strings.TrimSuffix(line, "\n")
				if n := utf8.RuneCountInString(line); n > width {
					t.Errorf("a line of %d columns at a width of %d: %s", n, width, line)
				}
				if strings.TrimRight(line, " ") != line || strings.Contains(line, "\x1b") {
					t.Errorf("at a width of %d: %q", width, line)
				}
			}
		}
	}
}

func TestOverviewGolden(t *testing.T) {
	for name, width := range map[string]int{"overview80": 80, "overview140": 140} {
		var b bytes.Buffer
		if err := render.Overview(&b, aHub(), render.Options{Width: width}); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", b.Bytes())
	}
}
