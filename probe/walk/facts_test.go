package walk_test

import (
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/walk"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 751416000, time.UTC)

// event makes one of a checkpoint, some time after noon.
func event(cp probe.Checkpoint, after time.Duration, edit func(*probe.Event)) *probe.Event {
	e := &probe.Event{Time: noon.Add(after).UnixNano(), Checkpoint: cp, Kind: probe.KindData, Proto: probe.ProtoTCP, Peer: 1,
		InnerLen: 60, OuterLen: 96, Receiver: 0x1a2b3c4d, Counter: 7, PrefixBits: 0}
	a, b := probe.AddrFrom(netip.MustParseAddr("10.0.0.1")), probe.AddrFrom(netip.MustParseAddr("192.168.200.22"))
	hub := probe.AddrFrom(netip.MustParseAddr("203.0.113.2"))
	e.InnerSrc, e.InnerSrcPort, e.InnerDst, e.InnerDstPort = a, 45734, b, 80
	e.OuterDst, e.OuterDstPort = hub, 51820
	e.Seam = probe.SeamUDPSend
	if cp == probe.A3 || cp >= probe.A5 {
		e.InnerSrc, e.InnerSrcPort, e.InnerDst, e.InnerDstPort = b, 80, a, 45734
		e.OuterSrc, e.OuterSrcPort = hub, 51820
		e.Seam = probe.SeamUDPReceive
	}
	if edit != nil {
		edit(e)
	}
	return e
}

const (
	hub  = "203.0.113.2:51820"
	here = "192.0.2.2:51821"

	request = "tcp 10.0.0.1:45734 > 192.168.200.22:80, 60 bytes"
)

// sentBy and receivedBy are packets that passed all hooks.
func sentBy(link, packet string, visits ...evidence.Visit) *evidence.Traversal {
	return &evidence.Traversal{Packet: packet, Out: link, Passed: "postrouting", Visits: visits}
}

func receivedBy(link, packet string, visits ...evidence.Visit) *evidence.Traversal {
	return &evidence.Traversal{Packet: packet, In: link, Passed: "input", Visits: visits}
}

// healthy are the facts of a full tunnel's walk that ended well.
func healthy() *walk.Facts {
	postrouting := evidence.Visit{Hook: "postrouting",
		Chain:   "ip wg-quick-wg0 postmangle (filter hook postrouting priority -150, policy accept)",
		Verdict: "policy accept", Lines: []string{"policy accept"}}
	marked := postrouting
	marked.Lines = []string{"postmangle handle 5: meta l4proto udp meta mark 0x0000ca6c ct mark set meta mark -> continue", "policy accept"}
	restored := evidence.Visit{Hook: "prerouting", Chain: "ip wg-quick-wg0 premangle (filter hook prerouting priority -150, policy accept)",
		Verdict: "policy accept",
		Lines:   []string{"premangle handle 6: meta l4proto udp meta mark set ct mark -> continue, mark 0xca6c", "policy accept"}}
	input := evidence.Visit{Hook: "input", Chain: "inet filter input (filter hook input priority 0, policy drop)", Verdict: "accept",
		Lines: []string{"input handle 9: jump global -> jump global", "global handle 2: ct state established,related accept -> accept"}}
	f := &walk.Facts{Interface: "wg0", Target: "192.168.200.22:80", Peer: "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", PeerName: "gateway",
		Packet: request,
		Inner: &evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "wg0",
			Text: "default dev wg0 table 51820 scope link", By: "32765: not from all fwmark 0xca6c lookup 51820",
			Steps: []string{"0: from all lookup local -> no route",
				"32764: from all lookup main suppress_prefixlength 0 -> default via 192.0.2.1 dev eth0: suppressed: prefix length 0 <= 0",
				"32765: not from all fwmark 0xca6c lookup 51820: applies: mark 0x0 is not 0xca6c -> default dev wg0 table 51820 scope link"}},
		Outer: &evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth0", Mark: 0xca6c,
			Text: "default via 192.0.2.1 dev eth0", By: "32766: from all lookup main",
			Neighbor: &evidence.Neighbor{Evidence: "ip -4 neigh show 192.0.2.1 dev eth0: 192.0.2.1 dev eth0 lladdr 02:00:00:00:00:01 REACHABLE"}},
		Out:      sentBy("wg0", request, postrouting),
		Sent:     sentBy("eth0", "udp "+here+" > "+hub+", 124 bytes", marked),
		Received: receivedBy("eth0", "udp "+hub+" > "+here+", 124 bytes", restored, input),
		In:       receivedBy("wg0", "tcp 192.168.200.22:80 > 10.0.0.1:45734, 60 bytes", input),
		Answer:   walk.Answer{Answered: true, Text: "answered", Took: 1510 * time.Microsecond},
	}
	f.Received.Source = &evidence.SourceCheck{Dst: netip.MustParseAddr("192.0.2.2"), Own: true,
		Setting:  "net.ipv4.conf.all.rp_filter = 1 (strict)",
		Evidence: []string{"the way back to 203.0.113.2 leads out of eth0, where the packet came in"}}
	f.In.Source = &evidence.SourceCheck{Dst: netip.MustParseAddr("10.0.0.1"), Own: true,
		Evidence: []string{"the way back to 192.168.200.22 leads out of wg0, where the packet came in"}}
	f.Seen[probe.A1] = event(probe.A1, 0, nil)
	f.Seen[probe.A4] = event(probe.A4, 30*time.Microsecond, nil)
	f.Seen[probe.A5] = event(probe.A5, 1200*time.Microsecond, nil)
	f.Seen[probe.A6] = event(probe.A6, 1230*time.Microsecond, nil)
	return f
}

// dropped are those of one whose reply an input rule drops, after a handshake.
func dropped() *walk.Facts {
	f := healthy()
	f.Seen[probe.A2] = event(probe.A2, 10*time.Microsecond, func(e *probe.Event) {
		e.Kind, e.OuterLen, e.Sender = probe.KindInitiation, 148, 0x01020304
	})
	f.Seen[probe.A3] = event(probe.A3, 20*time.Microsecond, func(e *probe.Event) {
		e.Kind, e.OuterLen, e.Sender = probe.KindResponse, 92, 0x1a2b3c4d
	})
	f.Initiation = sentBy("eth0", "udp "+here+" > "+hub+", 176 bytes", f.Sent.Visits...)
	f.Response = receivedBy("eth0", "udp "+hub+" > "+here+", 120 bytes", f.Received.Visits...)
	rule := "input handle 7: iifname \"wg0\" tcp sport 80 drop"
	chain := "inet filter input (filter hook input priority 0, policy drop)"
	f.In.Passed, f.In.Drop = "", &evidence.Drop{Hook: "input", Chain: chain, Rule: "inet filter " + rule}
	f.In.Visits = []evidence.Visit{{Hook: "input", Chain: chain, Verdict: "drop", Lines: []string{rule + " -> drop"}}}
	f.Answer = walk.Answer{Text: "nothing came"}
	f.Limits = []string{"rules of legacy iptables (ip filter) are not traced; iptables-legacy-save lists them"}
	return f
}
