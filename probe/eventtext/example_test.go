package eventtext_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
)

// An event comes from a node's flight recorder, or from a recording; here it is made by
// hand. In place of book stands what knows the peers: a tunnel, or a recording's Meta.
func ExampleAppendLine() {
	e := probe.Event{
		Time: time.Date(2026, 3, 1, 19, 47, 20, 751416000, time.UTC).UnixNano(),
		Seam: probe.SeamUDPSend, Checkpoint: probe.A2, Kind: probe.KindInitiation, Peer: 1,
		OuterDst: probe.AddrFrom(netip.MustParseAddr("203.0.113.2")), OuterDstPort: 51820, OuterLen: 148,
		Sender: 0x1a2b3c4d, PrefixBits: probe.NoPrefix,
	}
	line := eventtext.AppendLine(nil, &e, book{}, &eventtext.Options{Location: time.UTC})
	fmt.Printf("%s\n", line)
	// Output:
	// 19:47:20.751416 A2 udp-send    alice    > 203.0.113.2:51820 initiation len 148 sender 0x1a2b3c4d
}
