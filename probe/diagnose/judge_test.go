package diagnose

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/harmless"
)

// The far end is bob, at 203.0.113.2; the target a host behind it.
var (
	bobKey   = "BobKeyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	endpoint = netip.MustParseAddrPort("203.0.113.2:51820")
	target   = netip.MustParseAddrPort("192.168.200.22:80")
	here     = netip.MustParseAddrPort("10.0.0.1:45734")
	now      = time.Unix(1_700_000_000, 0)
)

const bob = probe.PeerID(1)

// story gathers facts from events as a node would.
type story struct {
	*Facts
	c  *Collector
	at time.Time
}

func tell(side Side) *story {
	p := &Peer{Key: bobKey, Name: "bob", Endpoint: endpoint, Written: endpoint.String(),
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("192.168.200.0/24")},
		Route:      RouteDecision{Kind: RouteFound, Interface: "eth0", Text: "203.0.113.2 via 192.168.1.1 dev eth0 src 192.168.1.11"}}
	f := &Facts{Interface: "wg0", PublicKey: "OurKeyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", ListenPort: 51821, Side: side, Peer: p,
		Flow: &Flow{Target: target, Route: RouteDecision{Kind: RouteFound, Interface: "wg0"}, Probe: Probe{Sent: true}}}
	return &story{f, &Collector{Peers: map[probe.PeerID]*Peer{bob: p}, Flow: f.Flow}, now.Add(-8 * time.Second)}
}

func (s *story) add(e probe.Event) *story {
	s.at = s.at.Add(time.Millisecond)
	e.Time, e.Peer = s.at.UnixNano(), bob
	s.c.Add(&e)
	s.Strangers = s.c.Strangers
	return s
}

func (s *story) after(d time.Duration) *story { s.at = s.at.Add(d); return s }

func (s *story) inner(cp probe.Checkpoint, seam probe.Seam, src, dst netip.AddrPort, flags uint8) *story {
	e := probe.Event{Kind: probe.KindInner, Seam: seam, Checkpoint: cp, Proto: probe.ProtoTCP, Info: flags, InnerLen: 60,
		InnerSrc: probe.AddrFrom(src.Addr()), InnerDst: probe.AddrFrom(dst.Addr()), InnerSrcPort: src.Port(), InnerDstPort: dst.Port()}
	s.add(e)
	if seam == probe.SeamTUNRead {
		e.Kind, e.Seam, e.Checkpoint = probe.KindData, probe.SeamUDPSend, map[probe.Checkpoint]probe.Checkpoint{probe.A1: probe.A4, probe.B7: probe.B8}[cp]
		s.add(e)
	}
	return s
}

func (s *story) asks() *story {
	return s.inner(probe.A1, probe.SeamTUNRead, here, target, probe.TCPSyn)
}

func (s *story) calls() *story {
	return s.add(probe.Event{Kind: probe.KindInitiation, Seam: probe.SeamUDPSend, Checkpoint: probe.A2, OuterLen: 148})
}

func (s *story) connects() *story {
	s.calls()
	s.add(probe.Event{Kind: probe.KindResponse, Seam: probe.SeamUDPReceive, Checkpoint: probe.A3})
	return s.add(probe.Event{Kind: probe.KindResponse, Seam: probe.SeamDevice, Checkpoint: probe.A3})
}

func (s *story) icmp(r probe.Reason, from string) *story {
	return s.add(probe.Event{Kind: probe.KindICMP, Seam: probe.SeamDevice, Reason: r,
		OuterSrc: probe.AddrFrom(netip.MustParseAddr(from)), OuterDst: probe.AddrFrom(endpoint.Addr()), OuterDstPort: endpoint.Port()})
}

func (s *story) innerICMP(from string, typ uint8, code uint16) *story {
	return s.add(probe.Event{Kind: probe.KindInner, Seam: probe.SeamTUNWrite, Checkpoint: probe.A6, Proto: probe.ProtoICMP, Info: typ,
		InnerSrc: probe.AddrFrom(netip.MustParseAddr(from)), InnerDst: probe.AddrFrom(here.Addr()), InnerSrcPort: code, InnerDstPort: target.Port()})
}

func (s *story) refusedSource(src string, port uint16) *story {
	return s.add(probe.Event{Kind: probe.KindData, Seam: probe.SeamDevice, Checkpoint: probe.A5, Reason: probe.DisallowedSource,
		InnerSrc: probe.AddrFrom(netip.MustParseAddr(src)), InnerSrcPort: port, InnerDst: probe.AddrFrom(here.Addr()), InnerDstPort: here.Port()})
}

func (s *story) moves(addrs ...string) *story {
	for i := 1; i < len(addrs); i++ {
		o, n := netip.MustParseAddrPort(addrs[i-1]), netip.MustParseAddrPort(addrs[i])
		s.add(probe.Event{Kind: probe.KindEndpoint, Flags: probe.FlagEndpointMoved, Seam: probe.SeamDevice, OuterSrc: probe.AddrFrom(o.Addr()), OuterSrcPort: o.Port(),
			OuterDst: probe.AddrFrom(n.Addr()), OuterDstPort: n.Port()})
	}
	return s
}

func (s *story) called() *story {
	s.add(probe.Event{Kind: probe.KindInitiation, Seam: probe.SeamUDPReceive, Checkpoint: probe.B1})
	return s.add(probe.Event{Kind: probe.KindResponse, Seam: probe.SeamUDPSend, Checkpoint: probe.B2})
}

func TestJudge(t *testing.T) {
	fixes := make(goldenFixes)
	for _, c := range []struct {
		name  string
		s     *story
		edit  func(*story)
		code  Code
		at    probe.Checkpoint
		sure  bool
		says  string // in summary, evidence or fix
		where Where
	}{
		{name: "answered", s: tell(SideA).connects().asks().inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPSyn|probe.TCPAck),
			edit: func(s *story) { s.Flow.Probe = Probe{Sent: true, Done: true, Answered: true} }, code: Healthy, sure: true, where: WhereHere},
		{name: "reset", s: tell(SideA).connects().asks().inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPRst),
			code: ConnectionRefused, sure: true, says: "tunnel works", where: WhereBeyond},
		{name: "no route behind the peer", s: tell(SideA).connects().asks().innerICMP("10.0.0.2", 3, 0),
			code: NoRouteOnward, at: probe.B5, sure: true, says: "10.0.0.2", where: WhereBeyond},
		{name: "prohibited behind the peer", s: tell(SideA).connects().asks().innerICMP("10.0.0.2", 3, 13),
			code: ForwardFirewall, at: probe.B5, sure: true, where: WhereBeyond},
		{name: "no peer", s: tell(SideA), edit: func(s *story) { s.Nearest, s.Peer = s.Peer, nil },
			code: NoAllowedIPsMatch, at: probe.A1, sure: true, says: "192.168.200.0/24", where: WhereHere},
		{name: "routed elsewhere", s: tell(SideA), edit: func(s *story) {
			s.Flow.Route = RouteDecision{Kind: RouteFound, Interface: "eth0", Text: "192.168.200.22 via 192.168.1.1 dev eth0"}
		}, code: RouteBypassesTunnel, at: probe.A1, sure: true, says: "eth0", where: WhereHere},
		{name: "answered past the tunnel", s: tell(SideA), edit: func(s *story) {
			s.Flow.Route = RouteDecision{Kind: RouteFound, Interface: "eth0", Text: "192.168.200.22 via 192.168.1.1 dev eth0"}
			s.Flow.Probe = Probe{Sent: true, Done: true, Answered: true}
		}, code: RouteBypassesTunnel, at: probe.A1, sure: true, says: "answers, but past the tunnel, through eth0", where: WhereHere},
		{name: "no peer, answered past the tunnel", s: tell(SideA), edit: func(s *story) {
			s.Nearest, s.Peer = s.Peer, nil
			s.Flow.Route = RouteDecision{Kind: RouteFound, Interface: "eth0"}
			s.Flow.Probe = Probe{Sent: true, Done: true, Answered: true}
		}, code: NoAllowedIPsMatch, at: probe.A1, sure: true, says: "answers, but past the tunnel, through eth0", where: WhereHere},
		{name: "not routed", s: tell(SideA), edit: func(s *story) { s.Flow.Route = RouteDecision{Kind: RouteBlackhole} },
			code: DestNotRouted, at: probe.A1, sure: true, says: "blackhole", where: WhereHere},
		{name: "no private key", s: tell(SideA).calls().calls(), edit: func(s *story) { s.PublicKey = noKey },
			code: NoPrivateKey, at: probe.A2, sure: true, says: "wgnode genkey", where: WhereHere},
		{name: "no endpoint", s: tell(SideA), edit: func(s *story) {
			s.Peer.Endpoint, s.Peer.Written = netip.AddrPort{}, ""
			s.Peer.NoEndpoint = &probe.Event{}
		}, code: NoEndpoint, at: probe.A2, sure: true, says: "PersistentKeepalive", where: WhereHere},
		{name: "unresolved", s: tell(SideA), edit: func(s *story) {
			s.Peer.Endpoint, s.Peer.Written, s.Peer.Resolve = netip.AddrPort{}, "vpn.example.com:51820", "no such host"
		}, code: EndpointUnresolved, at: probe.A2, sure: true, says: "vpn.example.com", where: WhereHere},
		{name: "endpoint in tunnel", s: tell(SideA).asks().calls(), edit: func(s *story) { s.Peer.Route.Interface = "wg0" },
			code: EndpointInTunnel, at: probe.A2, sure: true, where: WhereHere},
		{name: "endpoint not routed", s: tell(SideA).asks(), edit: func(s *story) { s.Peer.Route = RouteDecision{Kind: RouteNone} },
			code: EndpointNotRouted, at: probe.A2, sure: true, where: WhereHere},
		{name: "own firewall", s: tell(SideA).calls().add(probe.Event{Kind: probe.KindData, Reason: probe.SendError, Info: uint8(syscall.EPERM)}),
			code: UnderlayOutputFirewall, at: probe.A2, sure: true, where: WhereHere},
		{name: "preshared key", s: tell(SideA).calls().add(probe.Event{Kind: probe.KindResponse, Reason: probe.ResponseRejected, Checkpoint: probe.A3}),
			code: PSKMismatch, at: probe.A3, sure: true, where: WherePeer},
		{name: "port closed", s: tell(SideA).calls().icmp(probe.ICMPPortUnreachable, "203.0.113.2"),
			code: EndpointPortClosed, at: probe.A3, sure: true, says: "51820", where: WherePeer},
		{name: "port closed, says a router", s: tell(SideA).calls().icmp(probe.ICMPPortUnreachable, "198.51.100.9"),
			code: EndpointPortClosed, at: probe.A3, says: "198.51.100.9", where: WherePath},
		{name: "unreachable", s: tell(SideA).calls().icmp(probe.ICMPHostUnreachable, "198.51.100.9"),
			code: EndpointUnreachable, at: probe.A3, sure: true, says: "198.51.100.9", where: WherePath},
		{name: "prohibited", s: tell(SideA).calls().icmp(probe.ICMPProhibited, "198.51.100.9"),
			code: EndpointProhibited, at: probe.A3, sure: true, says: "198.51.100.9", where: WherePath},
		{name: "nothing comes back", s: tell(SideA).asks().calls().after(5 * time.Second).calls(),
			code: NoResponse, at: probe.A3, where: WherePath},
		{name: "reply disallowed", s: tell(SideA).connects().asks().refusedSource("192.168.99.22", 80),
			code: DisallowedSource, at: probe.A6, sure: true, says: "192.168.99.22/32", where: WhereHere},
		{name: "another packet disallowed", s: tell(SideA).connects().asks().refusedSource("192.168.99.22", 5000),
			code: NoReply, at: probe.A5, says: "source outside", where: WherePeer},
		{name: "no reply", s: tell(SideA).connects().asks(), code: NoReply, at: probe.A5, where: WherePeer},
		{name: "entered, and nothing sent yet", s: tell(SideA).inner(probe.A1, probe.SeamTUNRead, here, target, probe.TCPSyn),
			edit: func(s *story) { s.Flow.SentData = 0 }, code: Idle, says: "the time was too short", where: WhereHere},
		{name: "did not enter", s: tell(SideA), edit: func(s *story) { s.Flow.Probe = Probe{Sent: true, Done: true, Errno: syscall.EPERM} },
			code: OutputFirewall, at: probe.A1, sure: true, where: WhereHere},
		{name: "reply not delivered", s: tell(SideA).connects().asks().inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPSyn|probe.TCPAck),
			code: InputFirewall, at: probe.A6, where: WhereHere},

		{name: "B: replied", s: tell(SideB).called().inner(probe.B4, probe.SeamTUNWrite, here, target, probe.TCPSyn).
			inner(probe.B7, probe.SeamTUNRead, target, here, probe.TCPSyn|probe.TCPAck), code: Healthy, sure: true, where: WhereHere},
		{name: "B: unknown peer", s: tell(SideB), edit: func(s *story) {
			e := probe.Event{Kind: probe.KindInitiation, Checkpoint: probe.B1, Reason: probe.UnknownPeer, OuterSrcPort: 7,
				OuterSrc: probe.AddrFrom(endpoint.Addr())}
			e.SetStaticKey([32]byte{1, 2, 3})
			s.add(e)
		}, code: UnknownPeer, at: probe.B2, sure: true, says: "AQIDAAAA", where: WhereHere},
		{name: "B: a peer without a private key", s: tell(SideB), edit: func(s *story) {
			e := probe.Event{Kind: probe.KindInitiation, Checkpoint: probe.B1, Reason: probe.UnknownPeer, OuterSrcPort: 7,
				OuterSrc: probe.AddrFrom(endpoint.Addr())}
			e.SetStaticKey([32]byte{})
			s.add(e)
		}, code: UnknownPeer, at: probe.B2, sure: true, says: "set PrivateKey in [Interface]", where: WherePeer},
		{name: "B: wrong public key", s: tell(SideB).add(probe.Event{Kind: probe.KindInitiation, Reason: probe.InvalidMAC1, OuterSrc: probe.AddrFrom(endpoint.Addr())}),
			code: WrongPublicKey, at: probe.B2, sure: true, says: "PublicKey = OurKey", where: WherePeer},
		{name: "B: clock", s: tell(SideB).add(probe.Event{Kind: probe.KindInitiation, Reason: probe.HandshakeReplay}), edit: func(s *story) {
			s.Peer.Handshake.ClockNewest, s.Peer.Handshake.Clock = now, now.Add(-time.Hour)
		}, code: HandshakeReplay, at: probe.B2, sure: true, says: "1h0m0s back", where: WherePeer},
		{name: "B: not accepted", s: tell(SideB).called().after(5 * time.Second).called(), code: ResponseNotAccepted, at: probe.B3, where: WherePath},
		{name: "B: disallowed", s: tell(SideB).called().add(probe.Event{Kind: probe.KindData, Reason: probe.DisallowedSource, Checkpoint: probe.B3,
			InnerSrc: probe.AddrFrom(netip.MustParseAddr("10.9.9.9"))}), code: DisallowedSource, at: probe.B4, sure: true, says: "10.9.9.9/32", where: WhereHere},
		{name: "B: shared key", s: tell(SideB).moves("198.51.100.1:1", "198.51.100.2:2", "198.51.100.1:1", "198.51.100.2:2", "198.51.100.1:1"),
			code: SharedKey, sure: true, says: "198.51.100.2:2", where: WherePeer},
		{name: "B: roams", s: tell(SideB).moves("198.51.100.1:1", "198.51.100.2:2", "198.51.100.3:3", "198.51.100.4:4", "198.51.100.5:5"), code: Idle, where: WhereHere},
		{name: "B: no reply of the destination", s: tell(SideB).called().inner(probe.B4, probe.SeamTUNWrite, here, target, probe.TCPSyn),
			code: NoReplyFromDestination, at: probe.B7, where: WhereHere},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.edit != nil {
				c.edit(c.s)
			}
			v, _ := c.s.Judge(now)
			if v.Code != c.code || v.Checkpoint != c.at || v.Certain != c.sure || v.Where != c.where {
				t.Errorf("got %s at %v, certain %v, %s; want %s at %v, certain %v, %s\n%s",
					v.Code, v.Checkpoint, v.Certain, v.Where, c.code, c.at, c.sure, c.where, v.Summary)
			}
			text := strings.Join(append(append([]string{v.Summary}, v.Evidence...), v.Fix.Lines()...), "\n")
			if !strings.Contains(text, c.says) {
				t.Errorf("%q is not said in\n%s", c.says, text)
			}
			if !v.Certain && v.Code != Idle && len(v.Candidates) == 0 {
				t.Error("not certain, and no candidates")
			}
			fixes.add(t, c.name, c.s.Facts)
			// A recording may call its interface anything; what is to be pasted has it as
			// one word.
			const hostile = "wg0; touch owned"
			c.s.Interface = hostile
			v2, _ := c.s.Judge(now)
			for _, step := range v2.Fix {
				line := step.Line()
				bare := strings.ReplaceAll(strings.ReplaceAll(line, harmless.Shell(hostile), ""), harmless.Shell(`"`+hostile+`"`), "")
				if step.Kind != fix.KindNote && strings.Contains(bare, "touch") {
					t.Errorf("to be pasted: %s", line)
				}
			}
			for _, r := range c.s.Ladder(&v, now) {
				if (r.Checkpoint == v.Checkpoint) != (r.Status == Fail) {
					t.Errorf("%v is %s, the verdict's checkpoint is %v", r.Checkpoint, r.Status, v.Checkpoint)
				}
			}
		})
	}
	fixes.compare(t, "judge")
}

// What is mended is no fault any more.
func TestSuccessForgets(t *testing.T) {
	s := tell(SideA).calls().icmp(probe.ICMPPortUnreachable, "203.0.113.2").
		add(probe.Event{Kind: probe.KindResponse, Reason: probe.ResponseRejected}).connects()
	s.Flow = nil
	if v, _ := s.Judge(s.at); v.Code != Healthy {
		t.Errorf("after a completed handshake: %s: %s", v.Code, v.Summary)
	}
}
