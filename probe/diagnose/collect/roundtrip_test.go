package collect

import (
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
)

// A response is to the initiation that has its index, and counts once the device has taken it.
func TestRoundTrips(t *testing.T) {
	const ms = int64(time.Millisecond)
	sent := func(at int64, index uint32) probe.Event {
		return probe.Event{Time: at * ms, Kind: probe.KindInitiation, Seam: probe.SeamUDPSend, Peer: 1, Sender: index}
	}
	heard := func(at int64, index uint32) probe.Event {
		return probe.Event{Time: at * ms, Kind: probe.KindResponse, Seam: probe.SeamUDPReceive, Peer: 1, Receiver: index}
	}
	taken := func(at int64) probe.Event {
		return probe.Event{Time: at * ms, Kind: probe.KindResponse, Seam: probe.SeamDevice, Peer: 1}
	}
	rejected := probe.Event{Time: 40 * ms, Kind: probe.KindResponse, Seam: probe.SeamDevice, Peer: 1, Reason: probe.ResponseRejected}
	for _, c := range []struct {
		name   string
		level  probe.Level
		events []probe.Event
		took   int64 // in ms, 0: not known
	}{
		{"an answer", "", []probe.Event{sent(10, 7), heard(32, 7), taken(33)}, 22},
		{"to the second try", "", []probe.Event{sent(10, 7), sent(5010, 8), heard(5040, 8), taken(5041)}, 30},
		{"to the first, after the second", "", []probe.Event{sent(10, 7), sent(5010, 8), heard(5040, 7), taken(5041)}, 5030},
		{"that was rejected", "", []probe.Event{sent(10, 7), heard(32, 7), rejected}, 0},
		{"to nothing of ours", "", []probe.Event{sent(10, 7), heard(32, 9), taken(33)}, 0},
		{"that nobody has taken yet", "", []probe.Event{sent(10, 7), heard(32, 7)}, 0},
		{"a copy", probe.LevelCapture, []probe.Event{sent(10, 7), heard(32, 7)}, 22},
		{"the latest", "", []probe.Event{sent(10, 7), heard(32, 7), taken(33), sent(50, 8), heard(59, 8), taken(60)}, 9},
	} {
		r := RoundTrips{Level: c.level}
		for i := range c.events {
			r.Add(&c.events[i])
		}
		got, ok := r.Latest(1)
		if got.Took != time.Duration(c.took*ms) || ok != (c.took > 0) {
			t.Errorf("%s: %v, %v, want %d ms", c.name, got, ok, c.took)
		}
	}
}
