package tunnel

import (
	"testing"

	"golang.zx2c4.com/wireguard/conn"

	"github.com/wgnode/wgnode/probe"
)

func testBind() conn.Bind { return conn.NewDefaultBind() }

// The ladder of a first packet and its reply, on both ends.
func TestLadder(t *testing.T) {
	a, b := pair(t, nil)
	wa := a.Recorder().Subscribe(probe.SubscribeOptions{Past: true})
	wb := b.Recorder().Subscribe(probe.SubscribeOptions{Past: true})
	defer wa.Close()
	defer wb.Close()
	a.send(udp4(a.addr, b.addr, 4000, 53, 100))
	b.receive(t)
	b.send(udp4(b.addr, a.addr, 53, 4000, 200))
	a.receive(t)
	for _, want := range []probe.Checkpoint{probe.A1, probe.A2, probe.A3, probe.A4, probe.A5, probe.A6} {
		e := await(t, wa, want.String(), func(e *probe.Event) bool { return e.Checkpoint == want && e.Seam != probe.SeamDevice })
		if e.Peer == 0 || e.Dropped() {
			t.Errorf("%v: peer %d, reason %v", want, e.Peer, e.Reason)
		}
	}
	for _, want := range []probe.Checkpoint{probe.B1, probe.B2, probe.B3, probe.B4, probe.B7, probe.B8} {
		e := await(t, wb, want.String(), func(e *probe.Event) bool { return e.Checkpoint == want && e.Kind != probe.KindKeepalive })
		if e.Peer == 0 || e.Dropped() {
			t.Errorf("%v: peer %d, reason %v", want, e.Peer, e.Reason)
		}
	}
	for _, c := range []Counters{a.Counters(), b.Counters()} {
		if c.Untagged != 0 || c.Mismatches != 0 {
			t.Errorf("counters: %+v", c)
		}
	}
}
