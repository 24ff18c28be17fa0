package rules

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

func probed(s *story, p diagnose.Probe) *story {
	s.Flow.Probe = p
	return s
}

func nowhere() *story {
	s := tell(probe.SideA)
	s.Peer.Endpoint, s.Peer.Written = netip.AddrPort{}, ""
	return s
}

func astray(p diagnose.Probe) *story {
	s := probed(tell(probe.SideA), p)
	s.Flow.Route = evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth0"}
	return s
}

// A verdict needs no more time where this host's kernel has dropped the packet that it is about,
// or the probe is over, and it is certain; every other one may be told more of.
func TestEnded(t *testing.T) {
	traced := evidence.Traversal{Packets: 1, Drop: aDrop("output")}
	for _, c := range []struct {
		name string
		s    *story
		want bool
	}{
		{"a rule of this host", tell(probe.SideA).kernel(evidence.ToTunnel, traced), true},
		{"the kernel's word", tell(probe.SideA).kernel(evidence.ToTunnel, dropped("TC_EGRESS", "__dev_queue_xmit")), true},
		{"a hint", tell(probe.SideA).kernel(evidence.ToTunnel, dropped("TC_EGRESS", "elsewhere", hint)), false},
		{"behind the tunnel", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, dropped("TC_INGRESS", "__netif_receive_skb_core")), true},
		{"a drop elsewhere", nowhere().kernel(evidence.FromTunnel, dropped("TC_INGRESS", "__netif_receive_skb_core")), false},
		{"the tunnel's own drop", nowhere().enters(bob, probe.NoEndpoint), true},
		{"a route alone", astray(diagnose.Probe{Sent: true}), false},
		{"refused at once", astray(diagnose.Probe{Sent: true, Done: true, Errno: syscall.ENETUNREACH}), true},
		{"answered", probed(tell(probe.SideA), diagnose.Probe{Sent: true, Done: true, Answered: true}), false},
	} {
		v, _ := c.s.judge()
		if got := Ended(c.s.Facts, &v); got != c.want {
			t.Errorf("%s: %t: %s at %s, certain %t: %s", c.name, got, v.Code, v.Checkpoint, v.Certain, v.Summary)
		}
	}
}
