package mirror

import (
	"net/netip"
	"testing"
	"time"
)

// A peer's endpoints are known with when it was heard from each, and the oldest goes.
func TestPlaces(t *testing.T) {
	at := func(n byte) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, n}), 51820) }
	second := int64(time.Second)
	p := new(Peer)
	p.settle(at(1), false, 10*second)
	p.Heard.Store(12 * second)
	p.settle(at(2), true, 20*second)
	p.settle(at(3), false, 30*second)
	p.settle(at(1), false, 40*second)
	all := p.Places()
	if len(all) != 3 || all[0].Endpoint != at(2) || !all[0].Learned || !all[0].Heard.IsZero() {
		t.Errorf("%+v", all)
	}
	if last := all[2]; last.Endpoint != at(1) || last.Learned || !last.Heard.Equal(time.Unix(12, 0)) || !last.Since.Equal(time.Unix(40, 0)) {
		t.Errorf("back where it was: %+v", last)
	}
	p.Heard.Store(50 * second)
	p.settle(at(4), true, 50*second+1) // by the packet that was just heard
	if last := p.Places()[3]; !last.Heard.Equal(time.Unix(50, 0)) {
		t.Errorf("learned: %+v", last)
	}
	for n := byte(10); n < 30; n++ {
		p.settle(at(n), false, 100*second)
	}
	if all := p.Places(); len(all) != placesKept || all[placesKept-1].Endpoint != at(29) {
		t.Errorf("%d are kept: %+v", len(all), all)
	}
}
