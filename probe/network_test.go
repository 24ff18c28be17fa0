package probe

import (
	"net/netip"
	"testing"
	"time"
)

func TestNetworkChange(t *testing.T) {
	for _, want := range []NetworkChange{
		{Change: ChangeDefaultRoute, OldAddr: netip.MustParseAddr("10.9.1.1"), NewAddr: netip.MustParseAddr("fd00::1"),
			OldLink: "eth0", NewLink: "abcdefghijklmno"},
		{Change: ChangeResume, Asleep: 1000 * time.Hour},
		{Change: ChangeKillSwitch, NewLink: "wg0", Program: "abcdefghijklmno", PID: 1 << 22, Times: 1000},
		{Change: ChangeMTU, NewLink: "wg0", OldMTU: 65535, NewMTU: 1280},
	} {
		e := want.Event()
		if got, ok := e.Network(); !ok || got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if src, dst := e.Inner(); src.Addr().IsValid() || dst.Addr().IsValid() || e.Prefix().IsValid() || e.Dropped() {
			t.Errorf("%s: taken for a packet from %s to %s", want.Change, src, dst)
		}
	}
	if _, ok := (&Event{Kind: KindEndpoint}).Network(); ok {
		t.Error("an endpoint's change is taken for one of the network")
	}
}
