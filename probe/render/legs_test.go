package render_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/legs"
	"github.com/wgnode/wgnode/probe/render"
)

func TestPing(t *testing.T) {
	took := func(ms int64) *legs.Times {
		return &legs.Times{Least: ms * 1e6, Average: ms*1e6 + 1000, Most: ms * 2e6, Jitter: 1234567}
	}
	r := &legs.Report{Interface: "wg0", Target: "10.0.0.2", PeerName: "bob\x1b[31m", Probe: "icmp",
		Counts: legs.Counts{Sent: 3000, Answered: 2999, Late: 1, Duplicates: 2, Loss: 1. / 3000}, RTT: took(10),
		Errors: []legs.Said{{From: netip.MustParseAddr("10.0.0.2"), Text: "host unreachable", Count: 1}},
		Legs: []legs.Leg{
			{From: "socket", To: "A1", Text: "this host's stack", Entered: 3000, RTT: took(1)},
			{From: "A1", To: "A4", Text: "the tunnel", Entered: 3000, Lost: 1, Loss: 1. / 3000, Dropped: map[string]uint64{"no-endpoint": 1}},
			{From: "A4", To: "B3", Text: "the wire there", Entered: 2999, RTT: took(2), Open: 250000},
		},
		Size: &legs.Sizes{Largest: 1248, Data: 1220, Unanswered: 1249, Limit: 1420, Encrypted: 1308, Tried: []legs.SizeTry{
			{Size: 1248, Packets: 1, Answered: true},
			{Size: 1249, Packets: 3, From: netip.MustParseAddr("10.0.0.9"), Said: "packet too big: 1248 bytes fit"}}},
		Remarks: []string{"a remark"}}
	const want = `wg0 -> 10.0.0.2 via peer bob\x1b[31m
packets of 1248 bytes (ping -s 1220) are answered, of 1249 bytes not; the
  interface allows 1420
encrypted, packets of 1248 bytes are packets of 1308 bytes
  - 1248 bytes: answered
  - 1249 bytes: not answered, 3 packets; 10.0.0.9 says: packet too big: 1248
    bytes fit
3000 probes sent, 2999 answered, <0.1% lost, 1 answered late, 2 answered twice
10.0.0.2 of 1 probe: host unreachable
leg                                loss    least  average     most   jitter ms
socket -> A1  this host's stack      0%    1.000    1.001    2.000    1.235
A1 -> A4      the tunnel          <0.1%        -        -        -        -
A4 -> B3      the wire there         0%    2.000    2.001    4.000    1.235 +-0.250
              all of it           <0.1%   10.000   10.001   20.000    1.235
dropped at A1: 1 packet for a peer without endpoint (no-endpoint)
jitter: standard deviation, the mdev of ping
+-: the clocks of the two hosts are known only so far; it is the same for all
  probes, and what one of the two legs has less the other has more
- a remark
`
	var b strings.Builder
	if err := render.Ping(&b, r, render.Options{Options: eventtext.Options{ASCII: true}}); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := render.PingLine(&b, "answer", []time.Duration{1e6, 2e6, 3e6, 4e6}, render.Options{}); err != nil {
		t.Fatal(err)
	}
	if b.String() != "answer  (out 1.000, tunnel 2.000, wire 3.000, in 4.000)\n" {
		t.Error(b.String())
	}
}
