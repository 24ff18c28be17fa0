package render_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/render"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 751416000, time.UTC)

func mismatch() *diagnose.Report {
	return &diagnose.Report{
		Interface: "wg0", Target: "192.168.200.22:80", PeerName: "alice", Side: probe.SideA,
		Peer: "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
		Verdict: diagnose.Verdict{Code: diagnose.PSKMismatch, Checkpoint: probe.A3,
			Where: diagnose.WhereHere, Certain: true,
			Summary: "alice answers, but its response cannot be used: the preshared keys of the two ends differ.",
			Evidence: []evidence.Line{evidence.Secret.Decides("2 responses with our index and a valid mac1 came from " +
				"203.0.113.2:51822 and were rejected")},
			Fix: fix.Steps{fix.Note("give both ends the same preshared key; it is in the section [Peer] of /etc/wireguard/wg0.conf"),
				fix.Command("wg set wg0 peer xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg= preshared-key /etc/wireguard/alice.psk")},
		},
		Ladder: []diagnose.Rung{
			{Checkpoint: probe.A3, Status: diagnose.Fail, Seam: probe.SeamUDPReceive, Time: noon.Add(30 * time.Millisecond),
				Detail: "response from 203.0.113.2:51822, rejected: it does not decrypt"},
			{Checkpoint: probe.A1, Status: diagnose.Pass, Seam: probe.SeamTUNRead, Time: noon,
				Detail: "10.0.0.1:45734 > 192.168.200.22:80 tcp [S], matches 192.168.200.0/24"},
			{Checkpoint: probe.A2, Status: diagnose.Pass, Time: noon.Add(time.Millisecond)},
			{Checkpoint: probe.A4, Status: diagnose.Unknown},
		},
		Findings: []diagnose.Finding{{Code: diagnose.WorldReadableConfig,
			Summary: "anybody on this host can read the private key", Fix: fix.Steps{fix.Command("chmod 600 /etc/wireguard/wg0.conf")}},
			{Code: diagnose.MTUTooLarge, Summary: "full packets do not fit"}},
	}
}

func TestReport(t *testing.T) {
	want := `
wg0 → 192.168.200.22:80 via peer alice (this host sends: side A)

✓ A1 tun-read    12:00:00.751416 10.0.0.1:45734 > 192.168.200.22:80 tcp [S],
                                 matches 192.168.200.0/24
✓ A2 udp-send    12:00:00.752416 handshake initiation sent
✗ A3 udp-receive 12:00:00.781416 response from 203.0.113.2:51822, rejected: it
                                 does not decrypt
? A4 udp-send                    encrypted data sent: not seen

✗ psk-mismatch (config, at A3, at either end, certain)
  alice answers, but its response cannot be used: the preshared keys of the two
  ends differ.

  Evidence
    - 2 responses with our index and a valid mac1 came from 203.0.113.2:51822
      and were rejected

  What to do
    # give both ends the same preshared key; it is in the section [Peer] of
    # /etc/wireguard/wg0.conf
    wg set wg0 peer xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg= preshared-key /etc/wireguard/alice.psk

Other findings
  ! world-readable-config: anybody on this host can read the private key
      chmod 600 /etc/wireguard/wg0.conf

  ! mtu-too-large: full packets do not fit
`
	if got := report(t, mismatch(), render.Options{}); got != want[1:] {
		t.Errorf("got:\n%s\nwant:\n%s", got, want[1:])
	}
}

func TestReportWithCandidates(t *testing.T) {
	r := &diagnose.Report{
		Interface: "wg0", Target: "10.9.0.1", Side: probe.SideA,
		Verdict: diagnose.Verdict{Code: diagnose.NoResponse, Checkpoint: probe.A3, Where: diagnose.WherePath,
			Summary: "Nothing comes back.",
			Evidence: []evidence.Line{evidence.Kernel.Says("2 initiations left"), evidence.Inferred.Decides("no response came"),
				evidence.Claimed.Says("10.9.9.9: port unreachable")},
			Candidates: []diagnose.Candidate{
				{Code: diagnose.UnknownPeer, Check: "on the peer, \"wgnode doctor\" shows the key of who is refused"},
				{Code: diagnose.WrongPublicKey, Check: "compare the public key"},
			}},
		Ladder: []diagnose.Rung{
			{Checkpoint: probe.A2, Status: diagnose.Pass},
			{Checkpoint: probe.A3, Status: diagnose.Fail},
			{Checkpoint: probe.A5, Status: diagnose.NotNeeded},
		},
	}
	want := `
wg0 -> 10.9.0.1 (this host sends: side A)

+ A2 udp-send    handshake initiation sent
x A3 udp-receive handshake response received: did not happen
. A5 udp-receive encrypted reply received: not needed

x no-response (network, at A3, between the two hosts, not certain)
  Nothing comes back.

  Evidence
    - 2 initiations left
    - no response came (inferred)
    - 10.9.9.9: port unreachable (a claim: anybody could have sent it)

  Possible causes, likeliest first
    1. unknown-peer: on the peer, "wgnode doctor" shows the key of who is
       refused
    2. wrong-public-key: compare the public key
`
	if got := report(t, r, render.Options{Options: eventtext.Options{ASCII: true}}); got != want[1:] {
		t.Errorf("got:\n%s\nwant:\n%s", got, want[1:])
	}
}

func TestDoctor(t *testing.T) {
	r := &diagnose.DoctorReport{
		Interface: "wg0", Unchecked: []string{"the host's networks: list links: permission denied"},
		Peers: []diagnose.PeerReport{
			{Peer: "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", PeerName: "alice",
				State: diagnose.StateUp,
				Endpoint: &diagnose.Whereabouts{Endpoint: netip.MustParseAddrPort("203.0.113.2:51820"), Origin: diagnose.OriginResolved,
					Written: "vpn.example:51820", Addresses: make([]netip.AddrPort, 2), Heard: time.Unix(1_700_000_000, 0),
					Earlier: []diagnose.Place{{Endpoint: netip.MustParseAddrPort("[2001:db8::2]:51820")}}},
				Verdict: diagnose.Verdict{Code: diagnose.Healthy, Certain: true, Summary: "Data passes both ways."},
				Ladder:  []diagnose.Rung{{Checkpoint: probe.B8, Status: diagnose.Pass}}},
			{Peer: "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", PeerName: "bob", State: diagnose.StateStale,
				Verdict: diagnose.Verdict{Code: diagnose.Idle, Where: diagnose.WhereHere, Summary: "Nobody calls."}},
			{Peer: "gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA=", State: diagnose.StateFailing,
				Verdict: diagnose.Verdict{Code: diagnose.NoEndpoint, Checkpoint: probe.A2, Where: diagnose.WhereHere, Certain: true,
					Fix: fix.Steps{fix.Command("wg set wg0 peer gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA= endpoint HOST:PORT")}}},
		},
	}
	want := `
wg0

peer gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA=  failing

  ✗ no-endpoint (config, at A2, on this host, certain)

    What to do
      wg set wg0 peer gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA= endpoint HOST:PORT

peer alice  xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=  up
  endpoint 203.0.113.2:51820, one of 2 addresses of vpn.example:51820; heard at
    22:13:20; before [2001:db8::2]:51820, not heard there

  ✓ healthy
    Data passes both ways.

peer bob  xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=  stale

  ? idle
    Nobody calls.

No other problems found.

Not checked
  - the host's networks: list links: permission denied
`
	var b strings.Builder
	if err := render.Doctor(&b, r, render.Options{Options: eventtext.Options{Location: time.UTC}}); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != want[1:] {
		t.Errorf("got:\n%s\nwant:\n%s", got, want[1:])
	}
}

func TestReportColour(t *testing.T) {
	got := report(t, mismatch(), render.Options{Options: eventtext.Options{Color: true}})
	for _, want := range []string{"\x1b[32m✓\x1b[0m", "\x1b[31mpsk-mismatch\x1b[0m", "\x1b[36mA1\x1b[0m"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	// Colour changes nothing else.
	uncoloured := strings.NewReplacer("\x1b[0m", "", "\x1b[1m", "", "\x1b[2m", "", "\x1b[31m", "",
		"\x1b[32m", "", "\x1b[33m", "", "\x1b[36m", "").Replace(got)
	if want := report(t, mismatch(), render.Options{}); uncoloured != want {
		t.Errorf("got:\n%s\nwant:\n%s", uncoloured, want)
	}
}

// Nothing that a report was filled with from outside steers the terminal.
func TestReportEscapes(t *testing.T) {
	evil := "x\x1b[2Jy\r\u009bz\u202e\xff"
	r := &diagnose.Report{Interface: evil, Target: evil, Peer: evil, PeerName: evil,
		Verdict: diagnose.Verdict{Code: diagnose.Code(evil), Summary: evil, Evidence: []evidence.Line{evidence.Claimed.Says("%s", evil)},
			Fix: append(fix.Commands(evil, "a\nb"), fix.Note(evil)), Candidates: []diagnose.Candidate{{Code: diagnose.Code(evil), Check: evil}}},
		Ladder:   []diagnose.Rung{{Checkpoint: 77, Seam: 77, Detail: evil}},
		Findings: []diagnose.Finding{{Code: diagnose.Code(evil), Summary: evil, Fix: fix.Commands(evil)}}}
	got := report(t, r, render.Options{})
	for _, r := range strings.ReplaceAll(got, "\n", "") {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			t.Fatalf("%q in\n%s", r, got)
		}
	}
	for _, want := range []string{`x\x1b[2Jy`, `\u202e\xff`, `a\nb`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
}

func TestReportTellsOfWriteError(t *testing.T) {
	if err := render.Report(brokenPipe{}, mismatch(), render.Options{}); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

var errBroken = errors.New("broken pipe")

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

func report(t *testing.T, r *diagnose.Report, opt render.Options) string {
	t.Helper()
	opt.Location = time.UTC
	var b strings.Builder
	if err := render.Report(&b, r, opt); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
