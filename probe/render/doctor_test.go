package render_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/render"
)

// bigHub is what a doctor says of 200 peers: 19 whose endpoints no route leads to, one with
// another fault, and the rest well or idle.
func bigHub() *diagnose.DoctorReport {
	r := &diagnose.DoctorReport{Interface: "wg0"}
	for i := range 200 {
		p := diagnose.PeerReport{Peer: key.Public{byte(i), 7}.String(), PeerName: fmt.Sprintf("phone %d", i), State: diagnose.StateStale,
			Verdict: diagnose.Verdict{Code: diagnose.Idle, Where: diagnose.WhereHere, Summary: "Nothing passes."},
			Ladder:  []diagnose.Rung{{Checkpoint: probe.A2, Status: diagnose.Unknown}}}
		switch {
		case i >= 20 && i < 39:
			p.State = diagnose.StateFailing
			p.Endpoint = &diagnose.Whereabouts{Endpoint: netip.MustParseAddrPort("203.0.113.9:51820"), Origin: diagnose.OriginConfigured}
			p.Verdict = diagnose.Verdict{Code: diagnose.EndpointNotRouted, Checkpoint: probe.A2, Where: diagnose.WhereHere, Certain: true,
				Summary:  fmt.Sprintf("no route leads to the endpoint of phone %d", i),
				Evidence: []evidence.Line{evidence.Kernel.Decides("203.0.113.9: network is unreachable")},
				Fix:      fix.Steps{fix.Command("ip route add 203.0.113.0/24 via GATEWAY")}}
			p.Drops = map[string]uint64{"send-error": 2}
		case i == 50:
			p.State, p.PeerName = diagnose.StateFailing, "evil\x1b[2J"
			p.Verdict = diagnose.Verdict{Code: diagnose.PSKMismatch, Checkpoint: probe.A3, Where: diagnose.WherePeer, Certain: true}
		case i >= 100 && i < 103:
			p.State, p.Verdict.Code = diagnose.StateUp, diagnose.Healthy
		}
		r.Peers = append(r.Peers, p)
	}
	return r
}

// Of a hub of 200 peers there is a page, faults first: one peer for all that have the same one.
func TestDoctorFolds(t *testing.T) {
	var b strings.Builder
	if err := render.Doctor(&b, bigHub(), render.Options{}); err != nil {
		t.Fatal(err)
	}
	const want = `wg0

✗ 19 peers: endpoint-not-routed (routing, at A2, on this host, certain)
  phone 20, phone 21, phone 22, phone 23, phone 24, phone 25, phone 26, phone
  27, phone 28, phone 29, phone 30, phone 31 and 7 more

  one of them: phone 20  FAcAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=  failing
    endpoint 203.0.113.9:51820, configured
    ? A2 udp-send    handshake initiation sent: not seen

    ✗ endpoint-not-routed (routing, at A2, on this host, certain)
      no route leads to the endpoint of phone 20

      Evidence
        - 203.0.113.9: network is unreachable

      What to do
        ip route add 203.0.113.0/24 via GATEWAY

    dropped: 2 packets that this host could not send (send-error)

  another one: wgnode doctor wg0 PEER; all of them: --verbose

  dropped, of all of them: 38 packets that this host could not send (send-error)

peer evil\x1b[2J  MgcAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=  failing
  ? A2 udp-send    handshake initiation sent: not seen

  ✗ psk-mismatch (config, at A3, at either end, certain)

peer phone 100  ZAcAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=  up

  ✓ healthy
    Nothing passes.
`
	if got := b.String(); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, `
? 177 peers: idle
  phone 0, phone 1, phone 2, phone 3, phone 4, phone 5, phone 6, phone 7, phone
  8, phone 9, phone 10, phone 11 and 165 more

No other problems found.
`) {
		t.Errorf("got:\n%s", got)
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
}

// Who wants all gets all, faults first.
func TestDoctorWhole(t *testing.T) {
	var b strings.Builder
	if err := render.Doctor(&b, bigHub(), render.Options{Whole: true}); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Count(got, "peer phone ") != 199 || strings.Count(got, "? A2 udp-send") != 200 ||
		strings.Index(got, "peer phone 38 ") > strings.Index(got, "peer phone 0 ") {
		t.Errorf("got:\n%s", got)
	}
}
