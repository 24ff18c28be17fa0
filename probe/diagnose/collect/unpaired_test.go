package collect

import (
	"net/netip"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// Messages that may have a packet are counted whichever is told of first; those that are older
// than it, or another peer's, are not.
func TestUnpaired(t *testing.T) {
	const a, b = "10.0.0.1:40000", "192.0.2.1:80"
	in := packet(probe.SeamTUNRead, probe.A1, a, b, probe.TCPSyn)
	in.Time, in.Peer, in.Seq = 20, 1, 7
	message := func(at int64, peer probe.PeerID) probe.Event {
		return probe.Event{Time: at, Peer: peer, Kind: probe.KindData, Seam: probe.SeamUDPSend}
	}
	messages := []probe.Event{message(10, 1), message(21, 2), message(22, 1), message(23, 1)}
	for first := range len(messages) + 1 { // how many are told of before the packet
		f := &diagnose.Flow{Target: netip.MustParseAddrPort(b)}
		c := &Collector{Level: probe.LevelCapture, Flow: f}
		for i := range messages {
			if i == first {
				c.Add(&in)
			}
			c.Add(&messages[i])
		}
		if first == len(messages) {
			c.Add(&in)
		}
		again := in
		again.Time, again.Seq = 30, 8
		c.Add(&again)
		if u := f.Unpaired; u.Forth != 2 || u.Back != 0 || u.First == nil || u.First.Time != 22 {
			t.Errorf("after %d messages: %+v", first, u)
		}
	}
	c := &Collector{Level: probe.LevelExact, Flow: &diagnose.Flow{Target: netip.MustParseAddrPort(b)}}
	c.Add(&in)
	if c.Add(&messages[2]); c.Flow.Unpaired.Forth != 0 {
		t.Error("what is told exactly is counted")
	}
}
