package collect

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// A passive explanation is of one connection: the rungs of its ladder are not those of
// several.
func TestFollowsOneConnection(t *testing.T) {
	const target, old, first, second = "192.168.200.22:80", "10.0.0.1:40000", "10.0.0.1:40001", "10.0.0.7:40002"
	out := func(client string, flags uint8) probe.Event {
		return packet(probe.SeamTUNWrite, probe.B4, client, target, flags)
	}
	back := func(client string) probe.Event {
		return packet(probe.SeamTUNRead, probe.B7, target, client, probe.TCPSyn|probe.TCPAck)
	}
	type at struct {
		ms int64
		e  probe.Event
	}
	for _, c := range []struct {
		name     string
		events   []at
		want     string
		answered bool
	}{
		{"the first that begins", []at{{0, out(first, probe.TCPSyn)}, {1, out(second, probe.TCPSyn)}, {2, back(second)}}, first, false},
		{"its own answer", []at{{0, out(first, probe.TCPSyn)}, {1, out(second, probe.TCPSyn)}, {2, back(first)}}, first, true},
		{"rather one that begins than an old one", []at{
			{0, out(old, probe.TCPAck|probe.TCPPsh)}, {0, back(old)}, {1, out(first, probe.TCPSyn)}, {2, back(old)},
		}, first, false},
		{"an old one if there is no other", []at{{0, out(old, probe.TCPAck|probe.TCPPsh)}, {2, back(old)}}, old, true},
		{"the next where one is in vain", []at{
			{0, out(first, probe.TCPSyn)}, {1500, out(second, probe.TCPSyn)}, {1501, back(second)},
		}, second, true},
		{"not the next where it was answered", []at{
			{0, out(first, probe.TCPSyn)}, {1, back(first)}, {1500, out(second, probe.TCPSyn)},
		}, first, true},
		{"the next where the kernel was not watched yet", []at{
			{-9, out(first, probe.TCPSyn)}, {-8, back(first)}, {1, out(second, probe.TCPSyn)},
		}, second, false},
	} {
		f := &diagnose.Flow{Target: netip.MustParseAddrPort(target)}
		col := &Collector{Peers: map[probe.PeerID]*diagnose.Peer{1: new(diagnose.Peer)}, Flow: f, Follow: true,
			Since: time.Unix(1_700_000_000, 0).UnixNano()}
		for _, a := range c.events {
			a.e.Time = time.Unix(1_700_000_000, a.ms*1e6).UnixNano()
			col.Add(&a.e)
		}
		if f.Client.String() != c.want || f.Works() != c.answered {
			t.Errorf("%s: follows %s, answered: %t", c.name, f.Client, f.Works())
		}
		for _, e := range f.Seen {
			if e == nil {
				continue
			}
			if src, dst := e.Inner(); src != f.Client && dst != f.Client {
				t.Errorf("%s: %s shows %s > %s", c.name, e.Checkpoint, src, dst)
			}
		}
	}
}
