package rules

import (
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// What an old connection repeats is no answer, on neither side.
func TestRepeatedIsNoAnswer(t *testing.T) {
	reply := func(s *story, flags uint8) *story { return s.inner(probe.B7, probe.SeamTUNRead, target, here, flags) }
	request := func(flags uint8) *story {
		return tell(probe.SideB).called().inner(probe.B4, probe.SeamTUNWrite, here, target, flags)
	}
	if v, _ := reply(request(probe.TCPSyn), probe.TCPSyn|probe.TCPAck).judge(); !v.Healthy() {
		t.Errorf("a connection that was opened: %+v", v)
	}
	if v, _ := reply(request(probe.TCPAck|probe.TCPPsh), probe.TCPAck).judge(); !v.Healthy() {
		t.Errorf("a request: %+v", v)
	}
	s := request(probe.TCPAck)
	for range 6 {
		reply(s.after(200*time.Millisecond), probe.TCPAck|probe.TCPPsh).inner(probe.B4, probe.SeamTUNWrite, here, target, probe.TCPAck)
	}
	if v, _ := s.judge(); v.Healthy() {
		t.Errorf("repeated and acknowledged: %+v", v)
	}
	if v, _ := s.kernel(evidence.FromTunnel, evidence.Traversal{Drop: aDrop("forward")}).
		judge(); v.Code != diagnose.ForwardFirewall || v.Checkpoint != probe.B5 {
		t.Errorf("acknowledged, which is dropped: %+v", v)
	}
	s = request(probe.TCPAck)
	for range 12 {
		reply(s.after(110*time.Millisecond), probe.TCPAck)
	}
	if v, _ := s.judge(); !v.Healthy() {
		t.Errorf("a long download: %+v", v)
	}
	back := func(flags uint8) *story {
		return tell(probe.SideA).connects().inner(probe.A1, probe.SeamTUNRead, here, target, flags).
			inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPAck|probe.TCPPsh)
	}
	for flags, want := range map[uint8]bool{probe.TCPSyn: true, probe.TCPAck | probe.TCPPsh: true, probe.TCPAck: false} {
		s := back(flags)
		s.Flow.Probe.Sent = false
		if v, _ := s.judge(); v.Healthy() != want {
			t.Errorf("overheard, flags %#x: %+v", flags, v)
		}
	}
}
