package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/fix/fixtest"
	"github.com/wgnode/wgnode/probe/harmless"
	"github.com/wgnode/wgnode/probe/key"
)

// The far end is bob, at 203.0.113.2; the target a host behind it.
var (
	bobKey   = publicKey("BobKeyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	ourKey   = publicKey("OurKeyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	endpoint = netip.MustParseAddrPort("203.0.113.2:51820")
	target   = netip.MustParseAddrPort("192.168.200.22:80")
	here     = netip.MustParseAddrPort("10.0.0.1:45734")
	now      = time.Unix(1_700_000_000, 0)
)

const bob = probe.PeerID(1)

// publicKey reads a key that a test shows.
func publicKey(text string) key.Public {
	k, err := key.ParsePublic(text)
	if err != nil {
		panic(err)
	}
	return k
}

// story gathers facts from events as a node would.
type story struct {
	*diagnose.Facts
	c  *collect.Collector
	at time.Time
}

func tell(side probe.Side) *story {
	p := &diagnose.Peer{Key: bobKey, Name: "bob", Endpoint: endpoint, Written: endpoint.String(),
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("192.168.200.0/24")},
		Route: evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth0",
			Text: "203.0.113.2 via 192.168.1.1 dev eth0 src 192.168.1.11"}}
	f := &diagnose.Facts{Interface: "wg0", PublicKey: ourKey, ListenPort: 51821, Side: side, Peer: p,
		Flow: &diagnose.Flow{Target: target, Route: evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "wg0"},
			Probe: diagnose.Probe{Sent: true}}}
	return &story{f, &collect.Collector{Peers: map[probe.PeerID]*diagnose.Peer{bob: p}, Flow: f.Flow}, now.Add(-8 * time.Second)}
}

func (s *story) add(e probe.Event) *story {
	s.at = s.at.Add(time.Millisecond)
	e.Time, e.Peer = s.at.UnixNano(), bob
	s.c.Add(&e)
	s.Strangers = s.c.Strangers
	return s
}

// judge judges what has happened so far. What a rule finds is what it declares.
func (s *story) judge() (diagnose.Verdict, bool) {
	rule, r := facts{s.Facts}.first(now)
	if rule != nil && !slices.Contains(rule.finds[r.Code], r.Checkpoint) {
		panic(fmt.Sprintf("rule %q has found %s at %q, which the table does not say", rule.name, r.Code, r.Checkpoint))
	}
	v, settled := Judge(s.Facts, now)
	if err := weighed(&v); err != nil {
		panic(err)
	}
	return v, settled
}

// weighed says what is wrong with how the evidence of a verdict is known.
func weighed(v *diagnose.Verdict) error {
	for _, l := range v.Evidence {
		switch l.Known {
		case evidence.Authenticated, evidence.Kernel, evidence.Secret, evidence.Claimed, evidence.Inferred:
		default:
			return fmt.Errorf("%s: how is it known? %q: %q", v.Code, l.Known, l.Text)
		}
		if v.Certain && l.Decides && !l.Known.Proves() {
			return fmt.Errorf("%s is certain by what is %s: %q", v.Code, l.Known, l.Text)
		}
	}
	if v.Certain && !slices.ContainsFunc(v.Evidence, func(l evidence.Line) bool { return l.Decides }) {
		return fmt.Errorf("%s is certain, and nothing decides", v.Code)
	}
	return nil
}

func (s *story) after(d time.Duration) *story { s.at = s.at.Add(d); return s }

func (s *story) inner(cp probe.Checkpoint, seam probe.Seam, src, dst netip.AddrPort, flags uint8) *story {
	e := probe.Event{Kind: probe.KindInner, Seam: seam, Checkpoint: cp, Proto: probe.ProtoTCP, Info: flags, InnerLen: 60,
		InnerSrc: probe.AddrFrom(src.Addr()), InnerDst: probe.AddrFrom(dst.Addr()), InnerSrcPort: src.Port(), InnerDstPort: dst.Port()}
	s.add(e)
	if seam == probe.SeamTUNRead {
		e.Kind, e.Seam, e.Checkpoint = probe.KindData, probe.SeamUDPSend, map[probe.Checkpoint]probe.Checkpoint{probe.A1: probe.A4,
			probe.B7: probe.B8}[cp]
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

// icmp is an error that quotes the message that it is about, and claims one that does not.
func (s *story) icmp(r probe.Reason, from string) *story {
	return s.add(icmpError(r, from, 0x12345678))
}

func (s *story) claims(r probe.Reason, from string) *story { return s.add(icmpError(r, from, 0)) }

func icmpError(r probe.Reason, from string, sender uint32) probe.Event {
	return probe.Event{Kind: probe.KindICMP, Seam: probe.SeamDevice, Reason: r, Info: 3, Sender: sender,
		OuterSrc: probe.AddrFrom(netip.MustParseAddr(from)), OuterDst: probe.AddrFrom(endpoint.Addr()), OuterDstPort: endpoint.Port()}
}

func (s *story) innerICMP(from string, typ uint8, code uint16) *story {
	return s.add(innerError(from, typ, code))
}

func (s *story) refusedSource(src string, port uint16) *story {
	dst := here
	if s.Side == probe.SideB {
		dst = target
	}
	return s.add(probe.Event{Kind: probe.KindData, Seam: probe.SeamDevice, Checkpoint: probe.A5, Reason: probe.DisallowedSource,
		InnerSrc: probe.AddrFrom(netip.MustParseAddr(src)), InnerSrcPort: port, InnerDst: probe.AddrFrom(dst.Addr()), InnerDstPort: dst.Port()})
}

func (s *story) moves(addrs ...string) *story {
	for i := 1; i < len(addrs); i++ {
		o, n := netip.MustParseAddrPort(addrs[i-1]), netip.MustParseAddrPort(addrs[i])
		s.add(probe.Event{Kind: probe.KindEndpoint, Flags: probe.FlagEndpointMoved, Seam: probe.SeamDevice, OuterSrc: probe.AddrFrom(o.Addr()),
			OuterSrcPort: o.Port(),
			OuterDst:     probe.AddrFrom(n.Addr()), OuterDstPort: n.Port()})
	}
	return s
}

// knocks is an initiation that anybody could have sent.
func (s *story) knocks(r probe.Reason, from key.Public) *story {
	e := probe.Event{Kind: probe.KindInitiation, Seam: probe.SeamUDPReceive, Checkpoint: probe.B1, Reason: r, OuterSrcPort: 7,
		OuterSrc: probe.AddrFrom(endpoint.Addr())}
	if r == probe.UnknownPeer {
		e.SetStaticKey(from)
	}
	return s.add(e)
}

func (s *story) called() *story {
	s.add(probe.Event{Kind: probe.KindInitiation, Seam: probe.SeamUDPReceive, Checkpoint: probe.B1})
	return s.add(probe.Event{Kind: probe.KindResponse, Seam: probe.SeamUDPSend, Checkpoint: probe.B2})
}

// judgeCase is what happened, and the verdict on it.
type judgeCase struct {
	name  string
	s     *story
	edit  func(*story)
	code  diagnose.Code
	at    probe.Checkpoint
	sure  bool
	says  string // in summary, evidence or fix
	where diagnose.Where
}

// outwardCases are about what happens at this host and behind the peer, as the side that
// asks sees it.
func outwardCases() []judgeCase {
	return []judgeCase{
		{name: "answered", s: tell(probe.SideA).connects().asks().inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPSyn|probe.TCPAck),
			edit: func(s *story) { s.Flow.Probe = diagnose.Probe{Sent: true, Done: true, Answered: true} }, code: diagnose.Healthy, sure: true,
			where: diagnose.WhereHere},
		{name: "reset", s: tell(probe.SideA).connects().asks().inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPRst),
			code: diagnose.ConnectionRefused, sure: true, says: "tunnel works", where: diagnose.WhereBeyond},
		{name: "no route behind the peer", s: tell(probe.SideA).connects().asks().innerICMP("10.0.0.2", 3, 0), code: diagnose.NoRouteOnward,
			at: probe.B5, sure: true, says: "10.0.0.2", where: diagnose.WhereBeyond},
		{name: "in circles behind the peer", s: tell(probe.SideA).connects().asks().innerICMP("10.0.0.2", 11, 0),
			code: diagnose.TTLExceeded, at: probe.B5, where: diagnose.WhereBeyond, sure: true},
		{name: "not reassembled", s: tell(probe.SideA).connects().asks().innerICMP("10.0.0.2", 11, 1),
			code: diagnose.NoReplyFromDestination, at: probe.B6, where: diagnose.WhereBeyond, sure: true},
		{name: "prohibited behind the peer", s: tell(probe.SideA).connects().asks().innerICMP("10.0.0.2", 3, 13), code: diagnose.ForwardFirewall,
			at: probe.B5, sure: true, where: diagnose.WhereBeyond},
		{name: "rejected behind the peer", s: tell(probe.SideA).connects().asks().rejected("10.0.0.2", probe.ProtoTCP),
			code: diagnose.ForwardFirewall, at: probe.B5, sure: true, says: "which is not the destination", where: diagnose.WhereBeyond},
		{name: "a port of another address", s: tell(probe.SideA).connects().asks().rejected("10.0.0.2", probe.ProtoUDP),
			code: diagnose.ForwardFirewall, at: probe.B5, says: "10.0.0.2 is not 192.168.200.22", where: diagnose.WhereBeyond},
		{name: "no peer", s: tell(probe.SideA), edit: func(s *story) { s.Nearest, s.Peer = s.Peer, nil }, code: diagnose.NoAllowedIPsMatch,
			at: probe.A1, sure: true, says: "192.168.200.0/24", where: diagnose.WhereHere},
		{name: "routed elsewhere", s: tell(probe.SideA), edit: func(s *story) {
			s.Flow.Route = evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth0", Text: "192.168.200.22 via 192.168.1.1 dev eth0"}
		}, code: diagnose.RouteBypassesTunnel, at: probe.A1, sure: true, says: "eth0", where: diagnose.WhereHere},
		{name: "answered past the tunnel", s: tell(probe.SideA), edit: func(s *story) {
			s.Flow.Route = evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth0", Text: "192.168.200.22 via 192.168.1.1 dev eth0"}
			s.Flow.Probe = diagnose.Probe{Sent: true, Done: true, Answered: true}
		}, code: diagnose.RouteBypassesTunnel, at: probe.A1, sure: true, says: "answers, but past the tunnel, through eth0",
			where: diagnose.WhereHere},
		{name: "no peer, answered past the tunnel", s: tell(probe.SideA), edit: func(s *story) {
			s.Nearest, s.Peer = s.Peer, nil
			s.Flow.Route = evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth0"}
			s.Flow.Probe = diagnose.Probe{Sent: true, Done: true, Answered: true}
		}, code: diagnose.NoAllowedIPsMatch, at: probe.A1, sure: true, says: "answers, but past the tunnel, through eth0",
			where: diagnose.WhereHere},
		{name: "not routed", s: tell(probe.SideA), edit: func(s *story) { s.Flow.Route = evidence.RouteDecision{Kind: evidence.RouteBlackhole} },
			code: diagnose.DestNotRouted, at: probe.A1, sure: true, says: "blackhole", where: diagnose.WhereHere},
		{name: "reply disallowed", s: tell(probe.SideA).connects().asks().refusedSource("192.168.99.22", 80), code: diagnose.DisallowedSource,
			at: probe.A6, sure: true, says: "192.168.99.22/32", where: diagnose.WhereHere},
		{name: "another packet disallowed", s: tell(probe.SideA).connects().asks().refusedSource("192.168.99.22", 5000), code: diagnose.NoReply,
			at: probe.A5, says: "source outside", where: diagnose.WherePeer},
		{name: "no reply", s: tell(probe.SideA).connects().asks(), code: diagnose.NoReply, at: probe.A5, where: diagnose.WherePeer},
		{name: "entered, and nothing sent yet", s: tell(probe.SideA).inner(probe.A1, probe.SeamTUNRead, here, target, probe.TCPSyn),
			edit: func(s *story) { s.Flow.SentData = 0 }, code: diagnose.Idle, says: "the time was too short", where: diagnose.WhereHere},
		{name: "did not enter", s: tell(probe.SideA),
			edit: func(s *story) { s.Flow.Probe = diagnose.Probe{Sent: true, Done: true, Errno: syscall.EPERM} }, code: diagnose.OutputFirewall,
			at: probe.A1, says: "bpftool cgroup tree", where: diagnose.WhereHere},
		{name: "reply not delivered", s: tell(probe.SideA).connects().asks().
			inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPSyn|probe.TCPAck), code: diagnose.InputFirewall, at: probe.A6,
			where: diagnose.WhereHere},
	}
}

// handshakeCases are about what lies between the two tunnel ends, as the side that asks
// sees it.
func handshakeCases() []judgeCase {
	return []judgeCase{
		{name: "no private key", s: tell(probe.SideA).calls().calls(), edit: func(s *story) { s.PublicKey = key.Public{} },
			code: diagnose.NoPrivateKey,
			at:   probe.A2, sure: true, says: "wgnode genkey", where: diagnose.WhereHere},
		{name: "no endpoint", s: tell(probe.SideA), edit: func(s *story) {
			s.Peer.Endpoint, s.Peer.Written = netip.AddrPort{}, ""
			s.Peer.NoEndpoint = &probe.Event{}
		}, code: diagnose.NoEndpoint, at: probe.A2, sure: true, says: "PersistentKeepalive", where: diagnose.WhereHere},
		{name: "unresolved", s: tell(probe.SideA), edit: func(s *story) {
			s.Peer.Endpoint, s.Peer.Written, s.Peer.Resolve = netip.AddrPort{}, "vpn.example.com:51820", "no such host"
		}, code: diagnose.EndpointUnresolved, at: probe.A2, sure: true, says: "vpn.example.com", where: diagnose.WhereHere},
		{name: "endpoint in tunnel", s: tell(probe.SideA).asks().calls(), edit: func(s *story) { s.Peer.Route.Interface = "wg0" },
			code: diagnose.EndpointInTunnel, at: probe.A2, sure: true, where: diagnose.WhereHere},
		{name: "endpoint not routed", s: tell(probe.SideA).asks(),
			edit: func(s *story) { s.Peer.Route = evidence.RouteDecision{Kind: evidence.RouteNone} }, code: diagnose.EndpointNotRouted,
			at: probe.A2, sure: true, where: diagnose.WhereHere},
		{name: "own firewall", s: sent(tell(probe.SideA).calls(), syscall.EPERM), code: diagnose.UnderlayOutputFirewall,
			at: probe.A2, says: "bpftool cgroup tree", where: diagnose.WhereHere},
		{name: "preshared key", s: tell(probe.SideA).calls().
			add(probe.Event{Kind: probe.KindResponse, Reason: probe.ResponseRejected, Checkpoint: probe.A3}), code: diagnose.PSKMismatch,
			at: probe.A3, sure: true, where: diagnose.WherePeer},
		{name: "port closed", s: tell(probe.SideA).calls().icmp(probe.ICMPPortUnreachable, "203.0.113.2"), code: diagnose.EndpointPortClosed,
			at: probe.A3, sure: true, says: "51820", where: diagnose.WherePeer},
		{name: "port closed, says a router", s: tell(probe.SideA).calls().icmp(probe.ICMPPortUnreachable, "198.51.100.9"),
			code: diagnose.EndpointPortClosed, at: probe.A3, says: "198.51.100.9", where: diagnose.WherePath},
		{name: "unreachable", s: tell(probe.SideA).calls().icmp(probe.ICMPHostUnreachable, "198.51.100.9"), code: diagnose.EndpointUnreachable,
			at: probe.A3, sure: true, says: "198.51.100.9", where: diagnose.WherePath},
		{name: "prohibited", s: tell(probe.SideA).calls().icmp(probe.ICMPProhibited, "198.51.100.9"), code: diagnose.EndpointProhibited,
			at: probe.A3, sure: true, says: "198.51.100.9", where: diagnose.WherePath},
		{name: "prohibited, claims somebody", s: tell(probe.SideA).asks().calls().claims(probe.ICMPProhibited, "10.9.9.9").
			after(5 * time.Second).calls(), code: diagnose.NoResponse, at: probe.A3, says: "10.9.9.9 claims: administratively prohibited",
			where: diagnose.WherePath},
		{name: "a claim behind a router's word", s: tell(probe.SideA).calls().icmp(probe.ICMPHostUnreachable, "198.51.100.9").
			claims(probe.ICMPProhibited, "10.9.9.9"), code: diagnose.EndpointUnreachable, at: probe.A3, sure: true, says: "198.51.100.9",
			where: diagnose.WherePath},
		{name: "a claim, and it works", s: tell(probe.SideA).connects().asks().claims(probe.ICMPPortUnreachable, "203.0.113.2"),
			code: diagnose.NoReply, at: probe.A5, says: "203.0.113.2 claims: port unreachable", where: diagnose.WherePeer},
		{name: "nothing comes back", s: tell(probe.SideA).asks().calls().after(5 * time.Second).calls(), code: diagnose.NoResponse, at: probe.A3,
			where: diagnose.WherePath},
	}
}

// askedCases are those of the side that is asked.
func askedCases() []judgeCase {
	return []judgeCase{
		{name: "B: replied", s: tell(probe.SideB).called().inner(probe.B4, probe.SeamTUNWrite, here, target, probe.TCPSyn).
			inner(probe.B7, probe.SeamTUNRead, target, here, probe.TCPSyn|probe.TCPAck), code: diagnose.Healthy, sure: true,
			where: diagnose.WhereHere},
		{name: "B: strangers", s: tell(probe.SideB).knocks(probe.UnknownPeer, [32]byte{1, 2, 3}).knocks(probe.InvalidMAC1, [32]byte{}),
			code: diagnose.Idle, says: "AQIDAAAA", where: diagnose.WhereHere},
		{name: "B: clock", s: tell(probe.SideB).add(probe.Event{Kind: probe.KindInitiation, Reason: probe.HandshakeReplay}),
			edit: func(s *story) {
				s.Peer.Handshake.ClockNewest, s.Peer.Handshake.Clock = now, now.Add(-time.Hour)
			}, code: diagnose.HandshakeReplay, at: probe.B2, sure: true, says: "1h0m0s back", where: diagnose.WherePeer},
		{name: "B: not accepted", s: tell(probe.SideB).called().after(5 * time.Second).called(), code: diagnose.ResponseNotAccepted,
			at: probe.B3, where: diagnose.WherePath},
		{name: "B: disallowed", s: tell(probe.SideB).called().
			add(probe.Event{Kind: probe.KindData, Reason: probe.DisallowedSource, Checkpoint: probe.B3,
				InnerSrc: probe.AddrFrom(netip.MustParseAddr("10.9.9.9"))}), code: diagnose.DisallowedSource, at: probe.B4, sure: true,
			says: "10.9.9.9/32", where: diagnose.WhereHere},
		{name: "B: shared key", s: tell(probe.SideB).moves("198.51.100.1:1", "198.51.100.2:2", "198.51.100.1:1", "198.51.100.2:2",
			"198.51.100.1:1"), code: diagnose.SharedKey, sure: true, says: "198.51.100.2:2", where: diagnose.WherePeer},
		{name: "B: roams", s: tell(probe.SideB).moves("198.51.100.1:1", "198.51.100.2:2", "198.51.100.3:3", "198.51.100.4:4", "198.51.100.5:5"),
			code: diagnose.Idle, where: diagnose.WhereHere},
		{name: "B: no reply of the destination", s: tell(probe.SideB).called().inner(probe.B4, probe.SeamTUNWrite, here, target, probe.TCPSyn),
			code: diagnose.NoReplyFromDestination, at: probe.B7, where: diagnose.WhereHere},
	}
}

func TestJudge(t *testing.T) {
	fixes := make(fixtest.Fixes)
	for _, c := range slices.Concat(outwardCases(), handshakeCases(), askedCases()) {
		t.Run(c.name, func(t *testing.T) {
			if c.edit != nil {
				c.edit(c.s)
			}
			v, _ := c.s.judge()
			if v.Code != c.code || v.Checkpoint != c.at || v.Certain != c.sure || v.Where != c.where {
				t.Errorf("got %s at %v, certain %v, %s; want %s at %v, certain %v, %s\n%s",
					v.Code, v.Checkpoint, v.Certain, v.Where, c.code, c.at, c.sure, c.where, v.Summary)
			}
			text := strings.Join(append(append([]string{v.Summary}, evidence.Texts(v.Evidence)...), v.Fix.Lines()...), "\n")
			if !strings.Contains(text, c.says) {
				t.Errorf("%q is not said in\n%s", c.says, text)
			}
			if !v.Certain && v.Code != diagnose.Idle && len(v.Candidates) == 0 {
				t.Error("not certain, and no candidates")
			}
			addFix(t, fixes, c.name, c.s.Facts)
			// A recording may call its interface anything; what is to be pasted has it as
			// one word.
			const hostile = "wg0; touch owned"
			c.s.Interface = hostile
			v2, _ := c.s.judge()
			for _, step := range v2.Fix {
				line := step.Line()
				bare := strings.ReplaceAll(strings.ReplaceAll(line, harmless.Shell(hostile), ""), harmless.Shell(`"`+hostile+`"`), "")
				if step.Kind != fix.KindNote && strings.Contains(bare, "touch") {
					t.Errorf("to be pasted: %s", line)
				}
			}
			for _, r := range c.s.Ladder(&v, now) {
				if (r.Checkpoint == v.Checkpoint) != (r.Status == diagnose.Fail) {
					t.Errorf("%v is %s, the verdict's checkpoint is %v", r.Checkpoint, r.Status, v.Checkpoint)
				}
			}
		})
	}
	fixes.Compare(t, "testdata/fixes/judge.json")
}

// What is mended is no fault any more.
func TestSuccessForgets(t *testing.T) {
	s := tell(probe.SideA).calls().icmp(probe.ICMPPortUnreachable, "203.0.113.2").
		add(probe.Event{Kind: probe.KindResponse, Reason: probe.ResponseRejected}).connects()
	s.Flow = nil
	if v, _ := Judge(s.Facts, s.at); v.Code != diagnose.Healthy {
		t.Errorf("after a completed handshake: %s: %s", v.Code, v.Summary)
	}
}

// Without a session and a fault the verdict says whether a handshake has begun.
func TestIdle(t *testing.T) {
	ago := func(d time.Duration) *probe.Event { return &probe.Event{Time: now.Add(-d).UnixNano()} }
	for _, test := range []struct {
		name        string
		established time.Duration // ago, 0: never
		sent, came  *probe.Event  // the latest initiations
		begun       bool
	}{
		{name: "never seen"},
		{name: "stale", established: 180 * time.Second},
		{name: "stale, the last handshake in view", established: 200 * time.Second, sent: ago(201 * time.Second)},
		{name: "calls", sent: ago(3 * time.Second), begun: true},
		{name: "is called", established: time.Hour, came: ago(3 * time.Second), begun: true},
		{name: "gave up", sent: ago(91 * time.Second)},
	} {
		p := &diagnose.Peer{Endpoint: endpoint}
		if test.established != 0 {
			p.Handshake.Established = now.Add(-test.established)
		}
		p.Seen[probe.A2], p.Seen[probe.B1] = test.sent, test.came
		v, settled := Judge(&diagnose.Facts{PublicKey: ourKey, Peer: p}, now)
		begun, none := strings.Contains(v.Summary, "begun"), strings.Contains(v.Summary, "no handshake")
		if v.Code != diagnose.Idle || settled || begun != test.begun || none == test.begun {
			t.Errorf("%s: %s, settled %v: %s", test.name, v.Code, settled, v.Summary)
		}
	}
}
