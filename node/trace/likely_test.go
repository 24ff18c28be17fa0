//go:build linux

package trace

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/walk"
)

// By copies a message of the right length and time stands in for the packet, and is said to.
func TestJoinCopies(t *testing.T) {
	data := func(seam probe.Seam, peer probe.PeerID, n uint16, counter uint64) probe.Event {
		return probe.Event{Kind: probe.KindData, Seam: seam, Peer: peer, OuterLen: n, Counter: counter}
	}
	run := func(answered bool) *joined {
		x := newTestRun()
		x.facts = &diagnose.Facts{Level: probe.LevelCapture}
		x.hear(0, data(probe.SeamUDPSend, 1, 96, 1)) // before the packet
		x.hear(1, forth(probe.SeamTUNRead, 4000, probe.Event{Seq: 7, InnerLen: 60}))
		x.hear(2, data(probe.SeamUDPSend, 1, 1440, 2))
		x.hear(2, data(probe.SeamUDPSend, 2, 96, 3)) // to another peer
		x.hear(3, data(probe.SeamUDPSend, 1, 96, 4))
		x.hear(3, data(probe.SeamUDPSend, 1, 96, 5))
		x.hear(4, data(probe.SeamUDPReceive, 1, 1440, 6))
		x.hear(5, data(probe.SeamUDPReceive, 1, 96, 7))
		if answered {
			x.hear(6, back(probe.SeamTUNWrite, 4000, probe.Event{InnerLen: 60}))
		}
		x.hear(7, data(probe.SeamUDPReceive, 1, 96, 8))
		return x.join()
	}
	for _, answered := range []bool{true, false} {
		j := run(answered)
		a4, a5 := j.seen[probe.A4], j.seen[probe.A5]
		if a4 == nil || a4.Counter != 4 || a5 == nil || a5.Counter != 7 || !strings.Contains(j.sentOther, "level capture") ||
			j.receivedOther == "" {
			t.Errorf("answered %t: A4 %+v, A5 %+v, %q, %q", answered, a4, a5, j.sentOther, j.receivedOther)
			continue
		}
		w := walk.Build(&walk.Facts{Level: probe.LevelCapture, Seen: j.seen, SentOther: j.sentOther, ReceivedOther: j.receivedOther})
		for _, s := range w.Steps {
			if s.Checkpoint == "A5" && (s.Status == walk.Pass) != answered {
				t.Errorf("answered %t: decryption is %s: %s", answered, s.Status, s.Result)
			}
			if s.Checkpoint == "A4" && !strings.Contains(s.Result, "likely") {
				t.Errorf("encapsulation: %s", s.Result)
			}
		}
	}
}
