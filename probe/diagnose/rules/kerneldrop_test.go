package rules

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// dropped is a packet that the kernel says it has dropped.
func dropped(reason, place string, edit ...func(*evidence.KernelDrop)) evidence.Traversal {
	d := &evidence.KernelDrop{At: now, Count: 1, Reason: reason, Place: place, Device: "eth0", Src: here, Dst: target,
		Packet: "tcp 10.0.0.1:45734 > 192.168.200.22:80, 60 bytes"}
	for _, e := range edit {
		e(d)
	}
	return evidence.Traversal{Packets: 1, KernelDrop: d}
}

func twice(d *evidence.KernelDrop)     { d.Count = 2 }
func hint(d *evidence.KernelDrop)      { d.Hint = true }
func early(d *evidence.KernelDrop)     { d.At = now.Add(-time.Second) }
func ofMessage(d *evidence.KernelDrop) { d.Data = true }

// shown is what the trace has shown of a packet that it does not say to be dropped.
func shown(t evidence.Traversal) evidence.Traversal {
	t.At, t.Passed = now, "prerouting"
	return t
}

// What the kernel says that it has dropped decides if it is known to prove that, and only
// where netfilter's trace does not name the rule.
func TestKernelDrops(t *testing.T) {
	traced := dropped("NETFILTER_DROP", "nft_do_chain")
	traced.Drop = aDrop("output")
	for _, test := range []struct {
		kernelCase
		open bool // the verdict may still change
	}{
		{kernelCase: kernelCase{"tc", tell(probe.SideA).kernel(evidence.ToTunnel, dropped("TC_EGRESS", "__dev_queue_xmit")),
			diagnose.BPFDrop, probe.A1, true, "tc filter show dev eth0 egress"}},
		{kernelCase: kernelCase{"legacy iptables", tell(probe.SideA).kernel(evidence.ToTunnel, dropped("NETFILTER_DROP", "nf_hook_slow")),
			diagnose.OutputFirewall, probe.A1, true, "iptables-legacy-save"}},
		{kernelCase: kernelCase{"a rule that may yet be named", tell(probe.SideA).kernel(evidence.ToTunnel,
			dropped("NETFILTER_DROP", "nft_do_chain")), diagnose.OutputFirewall, probe.A1, true, "nft list ruleset"}, open: true},
		{kernelCase: kernelCase{"a rule that the trace does not name", tell(probe.SideA).kernel(evidence.ToTunnel,
			shown(dropped("NETFILTER_DROP", "nft_do_chain"))), diagnose.OutputFirewall, probe.A1, true, "nft list ruleset"}},
		{kernelCase: kernelCase{"a rule that it has not named twice", tell(probe.SideA).kernel(evidence.ToTunnel,
			dropped("NETFILTER_DROP", "nft_do_chain", twice, early)), diagnose.OutputFirewall, probe.A1, true, "2 packets"}},
		{kernelCase: kernelCase{"a queue, of a handshake, which is not sent again soon", tell(probe.SideA).kernel(evidence.ToWire,
			dropped("QDISC_DROP", "__dev_queue_xmit", early)), diagnose.QueueFull, probe.A2, true, "the next may pass"}},
		{kernelCase: kernelCase{"a queue, of data, which is", tell(probe.SideA).kernel(evidence.ToWire,
			dropped("QDISC_DROP", "__dev_queue_xmit", early, ofMessage)), diagnose.QueueFull, probe.A4, true, ""}, open: true},
		{kernelCase: kernelCase{"a source that nobody has looked up", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel,
			dropped("IP_RPFILTER", "ip_rcv_finish_core", early)), diagnose.ReversePathFilter, probe.B5, true, "conf.eth0.rp_filter"}},
		{kernelCase: kernelCase{"a route that nobody has looked up", tell(probe.SideB).comesIn().kernel(evidence.ToTunnel,
			dropped("IP_INNOROUTES", "ip_error", early)), diagnose.ReturnRouteWrong, probe.B7, true, "ip rule"}},
		{kernelCase: kernelCase{"no route for what this host does not forward", tell(probe.SideA).kernel(evidence.ToTunnel,
			dropped("IP_INNOROUTES", "ip_error", early)), diagnose.OutputFirewall, probe.A1, false, ""}, open: true},
		{kernelCase: kernelCase{"TTL", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, dropped("IP_INHDR", "ip_forward")),
			diagnose.TTLExceeded, probe.B5, true, "TTL has run out"}, open: true}, // a rule may have set it
		{kernelCase: kernelCase{"TTL, and the trace shows no rule", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel,
			shown(dropped("IP_INHDR", "ip_forward"))), diagnose.TTLExceeded, probe.B5, true, "TTL has run out"}},
		{kernelCase: kernelCase{"the other end of a cable", tell(probe.SideA).kernel(evidence.ToWire,
			dropped("NOT_SPECIFIED", "__dev_forward_skb2")), diagnose.MTUBlackhole, probe.A2, false, "MTU is smaller"}},
		{kernelCase: kernelCase{"a rule that the trace has named", tell(probe.SideA).kernel(evidence.ToTunnel, traced),
			diagnose.OutputFirewall, probe.A1, true, "handle 7"}},
		{kernelCase: kernelCase{"a queue, once", tell(probe.SideA).kernel(evidence.ToTunnel, dropped("QDISC_DROP", "__dev_queue_xmit")),
			diagnose.QueueFull, probe.A1, true, "tc -s qdisc show dev eth0"}, open: true},
		{kernelCase: kernelCase{"a queue", tell(probe.SideA).kernel(evidence.ToTunnel, dropped("QDISC_DROP", "__dev_queue_xmit", twice)),
			diagnose.QueueFull, probe.A1, true, "2 packets"}},
		{kernelCase: kernelCase{"behind the tunnel", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, dropped("TC_INGRESS",
			"__netif_receive_skb_core")), diagnose.BPFDrop, probe.B5, true, "bpftool net show dev eth0"}},
		{kernelCase: kernelCase{"what proves nothing", tell(probe.SideA).kernel(evidence.ToTunnel, dropped("TC_EGRESS", "elsewhere", hint)),
			diagnose.OutputFirewall, probe.A1, false, "TC_EGRESS in elsewhere, at eth0; that alone does not prove"}, open: true},
		{kernelCase: kernelCase{"for a device that another names", tell(probe.SideA).kernel(evidence.ToTunnel, dropped("TC_EGRESS",
			"__dev_queue_xmit", func(d *evidence.KernelDrop) { d.Device = "eth0; touch owned" })), diagnose.BPFDrop, probe.A1, true,
			"dev 'eth0; touch owned' egress"}},
	} {
		v, settled := test.s.judge()
		if v.Code != test.code || v.Checkpoint != test.at || v.Certain != test.sure || settled == test.open {
			t.Errorf("%s: %s at %s, certain %v, settled %v: %s", test.name, v.Code, v.Checkpoint, v.Certain, settled, v.Summary)
		}
		all := strings.Join(slices.Concat([]string{v.Summary}, evidence.Texts(v.Evidence), v.Fix.Lines()), "\n")
		if !strings.Contains(all, test.says) {
			t.Errorf("%s: %q is not said in\n%s", test.name, test.says, all)
		}
	}
}

// What the kernel drops of packets to the tunnel's port is this peer's fault only if they are
// the peer's: they have an index of ours, or were read. What anybody could have sent is a
// candidate beside what is missing, and a verdict that is not certain where nothing is known
// to be.
func TestClaimedDrop(t *testing.T) {
	dropIn := evidence.Traversal{Drop: aDrop("input")}
	filtered := evidence.Traversal{Lost: "prerouting", Source: martian()}
	refused := evidence.Traversal{Passed: "input", XfrmBlocks: []evidence.XfrmBlock{{Text: "IPsec policy", Fix: "ip xfrm policy delete"}}}
	xdp := dropped("NOT_SPECIFIED", "do_xdp_generic")
	for _, c := range []struct {
		name string
		in   evidence.Traversal
		code diagnose.Code
	}{
		{"a rule", dropIn, diagnose.UnderlayInputFirewall}, {"the check of the source", filtered, diagnose.ReversePathFilter},
		{"IPsec", refused, diagnose.UnderlayInputFirewall}, {"XDP", xdp, diagnose.BPFDrop},
	} {
		for _, whose := range []evidence.Known{evidence.Secret, evidence.Authenticated, evidence.Claimed} {
			c.in.Whose = whose
			if d := c.in.KernelDrop; d != nil {
				was := *d
				was.Claimed = whose == evidence.Claimed
				c.in.KernelDrop, c.in.Whose = &was, ""
			}
			for _, s := range []*story{tell(probe.SideB), tell(probe.SideA).calls()} {
				s.kernel(evidence.FromWire, c.in)
				v, settled := s.judge()
				want := c.code
				if whose == evidence.Claimed && s.Side == probe.SideA {
					want = diagnose.NoResponse
				}
				if sure := whose != evidence.Claimed; v.Code != want || v.Certain != sure || settled != sure {
					t.Errorf("%s, %s, side %v: %s, certain %v, settled %v: %s", c.name, whose, s.Side, v.Code, v.Certain, settled, v.Summary)
				}
				if whose == evidence.Claimed && (len(v.Candidates) < 2 || v.Candidates[0].Code != c.code) {
					t.Errorf("%s, side %v: candidates %+v", c.name, s.Side, v.Candidates)
				}
				if whose != evidence.Claimed && c.in.KernelDrop == nil && !slices.ContainsFunc(v.Evidence, func(l evidence.Line) bool {
					return l.Known == whose && l.Decides
				}) {
					t.Errorf("%s, side %v: whose they are is not said: %q", c.name, s.Side, v.Evidence)
				}
			}
		}
	}
}

// A stranger that this host drops is not in the way of what else is known.
func TestClaimedDropBesideAnother(t *testing.T) {
	s := tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, evidence.Traversal{Drop: aDrop("forward")}).
		kernel(evidence.FromWire, evidence.Traversal{Drop: aDrop("input"), Whose: evidence.Claimed})
	if v, settled := s.judge(); v.Code != diagnose.ForwardFirewall || !v.Certain || !settled {
		t.Errorf("%s, certain %v, settled %v: %s", v.Code, v.Certain, settled, v.Summary)
	}
	s = tell(probe.SideB).called().called()
	s.kernel(evidence.FromWire, evidence.Traversal{Passed: "input", In: "lan", Whose: evidence.Claimed})
	s.Peer.Route = evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "wan"}
	if v, _ := s.judge(); v.Code == diagnose.ReplyLeavesElsewhere {
		t.Errorf("an answer leaves elsewhere than a stranger's packet came in: %s", v.Summary)
	}
}

// Of a peer whose flows are not known, what the kernel dropped is a fault if nothing shows that
// its packets passed afterwards.
func TestKernelDropsOfPeer(t *testing.T) {
	tc := func(edit ...func(*evidence.KernelDrop)) evidence.Traversal {
		return dropped("TC_INGRESS", "__netif_receive_skb_core", append(edit, early, ofMessage)...)
	}
	queue := func(edit ...func(*evidence.KernelDrop)) evidence.Traversal {
		return dropped("QDISC_DROP", "__dev_queue_xmit", append(edit, early, ofMessage)...)
	}
	later, before := now.Add(-time.Millisecond), now.Add(-time.Minute)
	for _, test := range []struct {
		name        string
		on          evidence.Segment
		drop        evidence.Traversal
		established time.Time
		heard       time.Time
		want        diagnose.Code
	}{
		{"of what comes in", evidence.FromWire, tc(), before, before, diagnose.BPFDrop},
		{"and others came later", evidence.FromWire, tc(twice), before, later, diagnose.Healthy},
		{"and a handshake was completed later", evidence.FromWire, tc(twice), later, later, diagnose.Healthy},
		{"of what goes out, where nothing says that it arrives", evidence.ToWire,
			dropped("TC_EGRESS", "__dev_queue_xmit", early, ofMessage), before, later, diagnose.BPFDrop},
		{"and a handshake was completed", evidence.ToWire, dropped("TC_EGRESS", "__dev_queue_xmit", early, ofMessage), later, later,
			diagnose.Healthy},
		{"a queue, while there are answers", evidence.ToWire, queue(twice), before, later, diagnose.Healthy},
		{"a queue, and no answer", evidence.ToWire, queue(twice), before, before, diagnose.QueueFull},
		{"a hint", evidence.FromWire, tc(hint), before, before, diagnose.Healthy},
	} {
		s := tell(probe.SideB)
		s.Flow, s.Peer.Heard = nil, test.heard
		s.Peer.Handshake.Established, s.Peer.Handshake.EstablishedNow = test.established, true
		if v, _ := s.kernel(test.on, test.drop).judge(); v.Code != test.want || v.Certain != (test.want != diagnose.Healthy) && !v.Healthy() {
			t.Errorf("%s: %s, certain %v, want %s", test.name, v.Code, v.Certain, test.want)
		}
	}
}

// That the next hop does not answer the kernel says of the packet itself, also where nobody has
// traced it or the table of neighbors has forgotten it. Of encrypted packets it is no verdict.
func TestNextHopSilent(t *testing.T) {
	failed := func(edit ...func(*evidence.KernelDrop)) evidence.Traversal {
		return dropped("NEIGH_FAILED", "neigh_invalidate", append(edit, func(d *evidence.KernelDrop) { d.Device = "lan" })...)
	}
	known := failed()
	known.Passed, known.Out = "postrouting", "lan"
	known.Route = evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "lan", Neighbor: &evidence.Neighbor{Addr: target.Addr(),
		Link: "lan", Unreachable: true, Evidence: "ip neighbour: FAILED"}}
	for _, test := range []struct {
		name string
		s    *story
		want diagnose.Code
		says []string
	}{
		{"and the table says so", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, known), diagnose.NeighborUnreachable,
			[]string{"forwarded out of lan", "NEIGH_FAILED in neigh_invalidate, at lan", "ip neighbour: FAILED"}},
		{"by the kernel's word alone", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, failed()), diagnose.NeighborUnreachable,
			[]string{"NEIGH_FAILED in neigh_invalidate, at lan", "does not answer on lan"}},
		{"at a place that proves nothing", tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, failed(hint)), "", nil},
		{"of an encrypted packet", tell(probe.SideA).asks().calls().kernel(evidence.ToWire, failed(early)), diagnose.NoResponse,
			[]string{"its next hop on the link does not answer"}},
	} {
		v, settled := test.s.judge()
		text := strings.Join(append(evidence.Texts(v.Evidence), v.Summary), "\n")
		if sure := test.want == diagnose.NeighborUnreachable; test.want != "" && v.Code != test.want || v.Certain != sure || settled && !sure ||
			test.want == "" && v.Code == diagnose.NeighborUnreachable {
			t.Errorf("%s: %s, certain %v, want %s", test.name, v.Code, v.Certain, test.want)
		}
		for _, says := range test.says {
			if !strings.Contains(text, says) {
				t.Errorf("%s: does not say %q:\n%s", test.name, says, text)
			}
		}
	}
}
