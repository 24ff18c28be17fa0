//go:build linux

package kernelwg

import (
	"net/netip"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

// A peer that has called from an address that was not known is known by it as soon as the kernel
// has told of that, also in the session that had begun before.
func TestCapturedLateEndpoint(t *testing.T) {
	rec, err := probe.NewRecorder(probe.MinRecorderBytes)
	if err != nil {
		t.Fatal(err)
	}
	var all []probe.Event
	c := newCaptured(&Options{Recorder: rec, Flows: probe.NewFlows(64), Saw: func(_ probe.Level, e *probe.Event) { all = append(all, *e) }},
		probe.LevelCapture, func(netip.Addr) bool { return true })
	here, there := netip.MustParseAddrPort("192.0.2.2:51820"), netip.MustParseAddrPort("192.0.2.1:51820")
	send := func(e probe.Event) { c.message(&e, nil, true, here, there, 1) }
	send(probe.Event{Kind: probe.KindResponse, Seam: probe.SeamUDPSend, Sender: 8, Receiver: 9})
	send(probe.Event{Kind: probe.KindData, Seam: probe.SeamUDPSend, Receiver: 9, Counter: 1})
	peer := key.Public{7}
	c.know(&Device{Peers: []Peer{{Public: peer, Endpoint: there}}})
	send(probe.Event{Kind: probe.KindData, Seam: probe.SeamUDPSend, Receiver: 9, Counter: 2})
	c.know(&Device{Peers: []Peer{{Public: peer}, {Public: key.Public{8}, Endpoint: there}}})
	send(probe.Event{Kind: probe.KindData, Seam: probe.SeamUDPSend, Receiver: 9, Counter: 3})
	want := []probe.PeerID{0, 0, 1, 1} // once it is known whose a session is, that stays
	for i, e := range all {
		if i >= len(want) || e.Peer != want[i] || e.Kind == probe.KindData && e.Checkpoint != probe.B8 {
			t.Errorf("message %d: peer %d at %s", i, e.Peer, e.Checkpoint)
		}
	}
}
