package rules

import (
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// keepalive is an authenticated one of the peer's.
func keepalive() probe.Event {
	return probe.Event{Kind: probe.KindKeepalive, Seam: probe.SeamUDPReceive, Checkpoint: probe.B3}
}

// An error about a message that was sent elsewhere, or before an answer arrived, is no fault any more.
func TestErrorsOfTheAddressBefore(t *testing.T) {
	for name, c := range map[string]struct {
		s    *story
		want diagnose.Code
	}{
		"moved since": {tell(probe.SideA).calls().icmp(probe.ICMPPortUnreachable, "203.0.113.2").
			moves("203.0.113.2:51820", "203.0.113.2:40000"), diagnose.Idle},
		"back since": {tell(probe.SideA).calls().icmp(probe.ICMPPortUnreachable, "203.0.113.2").
			after(time.Second).called().after(time.Second).add(keepalive()), diagnose.Healthy},
		"since then": {tell(probe.SideA).called().after(time.Second).icmp(probe.ICMPPortUnreachable, "203.0.113.2").
			after(time.Second).add(keepalive()), diagnose.EndpointPortClosed},
		"of the new address": {tell(probe.SideA).moves("203.0.113.2:40000", "203.0.113.2:51820").after(time.Second).
			calls().icmp(probe.ICMPPortUnreachable, "203.0.113.2"), diagnose.EndpointPortClosed},
	} {
		t.Run(name, func(t *testing.T) {
			c.s.Flow = nil
			if v, _ := c.s.judge(); v.Code != c.want {
				t.Errorf("%s, want %s: %s", v.Code, c.want, v.Summary)
			}
		})
	}
}
