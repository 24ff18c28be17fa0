package observe

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// ruleset has the text of rules by their handles.
type ruleset map[uint64]netfilter.Rule

func (rs ruleset) Rule(c netfilter.Chain, s netfilter.Step) (netfilter.Rule, error) {
	r, ok := rs[s.Handle]
	if !ok {
		return r, errors.New("the rule is no longer there")
	}
	r.Table, r.Chain, r.Handle = c.Table, s.Chain, s.Handle
	return r, nil
}

var rules = ruleset{
	7: {Text: "tcp dport 80 drop", Program: "nft"},
	8: {Text: "-p udp -j REJECT", Program: "iptables", Reject: true},
	9: {Text: "masquerade", Program: "nft"},
	5: {Text: "meta mark set 0x1", Program: "nft"},
}

// chain is a base chain of table inet t.
func chain(kind string, hook netfilter.Hook) netfilter.Chain {
	return netfilter.Chain{Table: netfilter.Table{Family: "inet", Name: "t"}, Name: "c", Type: kind, Hook: hook}
}

// by is a step that a rule takes.
func by(handle uint64, action netfilter.Action, mark uint32) netfilter.Step {
	return netfilter.Step{Kind: netfilter.RuleStep, Chain: "c", Handle: handle, Verdict: netfilter.Verdict{Action: action}, Mark: mark}
}

func byPolicy(action netfilter.Action) netfilter.Step {
	return netfilter.Step{Kind: netfilter.PolicyStep, Chain: "c", Verdict: netfilter.Verdict{Action: action}}
}

// header is of a packet with that many bytes of content behind its IP and UDP headers.
func header(proto uint8, src, dst string, content uint16) netfilter.Header {
	a, b := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	h := netfilter.Header{Proto: proto, Src: a.Addr(), Dst: b.Addr(), SrcPort: a.Port(), DstPort: b.Port(), Length: content + 28}
	if h.Src.Is6() {
		h.Length += 20
	}
	return h
}

// crossing is a packet that came in and has met so much.
func crossing(h netfilter.Header, visits ...netfilter.Visit) *Packet {
	return &Packet{Packet: &netfilter.Packet{Time: at, Start: netfilter.Prerouting, First: h, Last: h, Visits: visits}, rules: rules}
}

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func web80(port uint16) bool { return port == 80 }

const c = "inet t c"

// A traversal says how a packet ended in netfilter, and what would let it pass.
func TestTraversal(t *testing.T) {
	syn := header(probe.ProtoTCP, "10.0.0.1:4000", "10.0.0.2:80", 12)
	met := func(hook netfilter.Hook, step netfilter.Step) *Packet {
		return crossing(syn, netfilter.Visit{Chain: chain("filter", hook), Header: syn, Steps: []netfilter.Step{step}})
	}
	for _, tc := range []struct {
		name string
		p    *Packet
		want evidence.Traversal // but for what is the same of all
	}{
		{name: "dropped by a rule", p: met(netfilter.Input, by(7, netfilter.Drop, 0)),
			want: evidence.Traversal{Drop: &evidence.Drop{Hook: "input", Chain: c + " (filter hook input priority 0, policy accept)",
				Rule: "inet t c handle 7: tcp dport 80 drop", Packet: "tcp 10.0.0.1:4000 > 10.0.0.2:80",
				Fix: []string{"nft insert rule inet t c ip saddr 10.0.0.1 ip daddr 10.0.0.2 tcp dport 80 accept"}}}},
		{name: "rejected by iptables", p: met(netfilter.Input, by(8, netfilter.Drop, 0)),
			want: evidence.Traversal{Drop: &evidence.Drop{Hook: "input", Chain: c + " (filter hook input priority 0, policy accept)",
				Rule: "inet t c handle 8: -p udp -j REJECT", Reject: true, Packet: "tcp 10.0.0.1:4000 > 10.0.0.2:80",
				Fix: []string{"iptables -t t -I c -s 10.0.0.1 -d 10.0.0.2 -p tcp --dport 80 -j ACCEPT"}}}},
		{name: "dropped by a rule that is gone", p: met(netfilter.Input, by(6, netfilter.Drop, 0)),
			want: evidence.Traversal{Drop: &evidence.Drop{Hook: "input", Chain: c + " (filter hook input priority 0, policy accept)",
				Rule: "inet t c handle 6: rule text unknown: the rule is no longer there", Packet: "tcp 10.0.0.1:4000 > 10.0.0.2:80",
				Fix: []string{"nft insert rule inet t c ip saddr 10.0.0.1 ip daddr 10.0.0.2 tcp dport 80 accept"}}}},
		{name: "dropped by a policy", p: met(netfilter.Forward, byPolicy(netfilter.Drop)),
			want: evidence.Traversal{Drop: &evidence.Drop{Hook: "forward", Chain: c + " (filter hook forward priority 0, policy accept)",
				Packet: "tcp 10.0.0.1:4000 > 10.0.0.2:80",
				Fix:    []string{"nft insert rule inet t c ip saddr 10.0.0.1 ip daddr 10.0.0.2 tcp dport 80 accept"}}}},
		{name: "queued", p: met(netfilter.Input, by(7, netfilter.Queue, 0)),
			want: evidence.Traversal{Held: &evidence.Held{Hook: "input", By: "inet t c handle 7: tcp dport 80 drop", How: "queued"}}},
		{name: "lost", p: crossing(syn), want: evidence.Traversal{Lost: "prerouting"}},
		{name: "a fragment that goes on as a part of another packet", p: fragment(crossing(syn)), want: evidence.Traversal{}},
		{name: "passed", p: ended(crossing(syn), netfilter.Input, syn), want: evidence.Traversal{Passed: "input"}},
		{name: "passed, translated",
			p:    ended(crossing(syn), netfilter.Postrouting, header(probe.ProtoTCP, "192.0.2.1:4001", "10.0.0.2:80", 12)),
			want: evidence.Traversal{Passed: "postrouting", Translated: "source 10.0.0.1:4000 to 192.0.2.1:4001"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := tc.want
			want.Packets, want.At, want.DataAt = 1, at, at
			want.Packet, want.Src, want.Dst = "tcp 10.0.0.1:4000 > 10.0.0.2:80, 40 bytes", syn.Source(), syn.Destination()
			equal(t, want, tc.p.Traversal(web80))
			if d := tc.p.Traversal(nil).Drop; d != nil && d.Fix != nil {
				t.Errorf("fix without knowing the services: %q", d.Fix)
			}
		})
	}
}

func fragment(p *Packet) *Packet {
	p.First.Fragment = true
	return p
}

func ended(p *Packet, hook netfilter.Hook, last netfilter.Header) *Packet {
	p.End, p.Last = hook, last
	return p
}

func equal(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// An encrypted packet is known to be a handshake by its length, in both families.
func TestHandshakeLength(t *testing.T) {
	for _, tc := range []struct {
		src, dst string
		content  uint16
		data     bool
	}{
		{src: "192.0.2.1:51820", dst: "192.0.2.2:51820", content: probe.LenInitiation},
		{src: "192.0.2.1:51820", dst: "192.0.2.2:51820", content: probe.LenResponse},
		{src: "[2001:db8::1]:51820", dst: "[2001:db8::2]:51820", content: probe.LenInitiation},
		{src: "[2001:db8::1]:51820", dst: "[2001:db8::2]:51820", content: probe.LenResponse},
		{src: "192.0.2.1:51820", dst: "192.0.2.2:51820", content: 96, data: true},
		{src: "[2001:db8::1]:51820", dst: "[2001:db8::2]:51820", content: 128, data: true},
	} {
		h := header(probe.ProtoUDP, tc.src, tc.dst, tc.content)
		p := crossing(h, netfilter.Visit{Chain: chain("filter", netfilter.Input), Header: h,
			Steps: []netfilter.Step{by(7, netfilter.Drop, 0)}})
		if got := p.Traversal(nil); got.Drop.Data != tc.data || got.DataAt.IsZero() == tc.data {
			t.Errorf("%d bytes from %s: data %v, at %v", tc.content, tc.src, got.Drop.Data, got.DataAt)
		}
	}
}

// What a packet met is listed chain by chain: what was translated, the rules and what
// they decided, marks, and the policy.
func TestMet(t *testing.T) {
	before := header(probe.ProtoTCP, "10.0.0.1:4000", "10.0.0.2:80", 12)
	after := header(probe.ProtoTCP, "10.0.0.1:4000", "192.168.1.2:8080", 12)
	p := ended(crossing(before,
		netfilter.Visit{Chain: chain("nat", netfilter.Prerouting), Header: before, Steps: []netfilter.Step{
			by(5, netfilter.Continue, 1), by(9, netfilter.Accept, 1)}},
		netfilter.Visit{Chain: chain("filter", netfilter.Forward), Header: after, Steps: []netfilter.Step{
			by(6, netfilter.Continue, 1), {Kind: netfilter.EndStep, Mark: 1}, byPolicy(netfilter.Accept)}}), netfilter.Postrouting, after)
	equal(t, []evidence.Visit{
		{Hook: "prerouting", Chain: c + " (nat hook prerouting priority 0, policy accept)", Verdict: "accept",
			Lines: []string{"c handle 5: meta mark set 0x1 -> continue, mark 0x1", "c handle 9: masquerade -> accept"}},
		{Hook: "forward", Chain: c + " (filter hook forward priority 0, policy accept)", Verdict: "policy accept",
			Lines: []string{"translated: destination 10.0.0.2:80 to 192.168.1.2:8080",
				"c handle 6: rule text unknown: the rule is no longer there -> continue", "policy accept"}},
	}, p.Met())
	if h := p.routed(); h.Destination() != after.Destination() || h.Source() != before.Source() {
		t.Errorf("routing sees %v > %v", h.Source(), h.Destination())
	}
}

// Routing sees a packet as prerouting leaves it, whatever becomes of it later.
func TestRouted(t *testing.T) {
	before := header(probe.ProtoTCP, "10.0.0.1:4000", "10.0.0.2:80", 12)
	after := header(probe.ProtoTCP, "192.0.2.1:4000", "192.168.1.2:8080", 12)
	p := ended(crossing(before,
		netfilter.Visit{Chain: chain("filter", netfilter.Prerouting), Header: before, Steps: []netfilter.Step{by(5, netfilter.Accept, 7)}},
		netfilter.Visit{Chain: chain("filter", netfilter.Postrouting), Header: after, Steps: []netfilter.Step{by(5, netfilter.Accept, 9)}},
	), netfilter.Postrouting, after)
	if h := p.routed(); h.Source() != before.Source() || h.Destination() != after.Destination() || h.Mark != 7 {
		t.Errorf("routing sees %v > %v, mark %#x", h.Source(), h.Destination(), h.Mark)
	}
}

// The rule that makes another packet of one is found, and how to spare such packets.
func TestDiversion(t *testing.T) {
	before := header(probe.ProtoTCP, "10.0.0.1:4000", "10.0.0.2:80", 12)
	after := header(probe.ProtoTCP, "192.0.2.1:4000", "10.0.0.2:80", 12)
	spare := []string{"nft insert rule inet t c ip saddr 10.0.0.1 ip daddr 10.0.0.2 tcp dport 80 accept"}
	for _, tc := range []struct {
		name          string
		step          netfilter.Step
		kind          string
		last          netfilter.Header
		changed, rule string
		unknown       bool
	}{
		{name: "translated", step: by(9, netfilter.Accept, 0), kind: "nat", last: after,
			changed: "source 10.0.0.1:4000 to 192.0.2.1:4000", rule: "inet t c handle 9: masquerade"},
		{name: "marked", step: by(5, netfilter.Continue, 1), kind: "route", last: before,
			changed: "mark 0x0 to 0x1", rule: "inet t c handle 5: meta mark set 0x1"},
		{name: "translated as the first of its connection was", step: byPolicy(netfilter.Accept), kind: "filter", last: after,
			changed: "source 10.0.0.1:4000 to 192.0.2.1:4000", unknown: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := ended(crossing(before, netfilter.Visit{Chain: chain(tc.kind, netfilter.Output), Header: before,
				Steps: []netfilter.Step{tc.step}}), netfilter.Postrouting, tc.last)
			got := p.Traversal(web80)
			p.Diversion(&got, web80)
			if got.Changed != tc.changed || got.ChangedBy != tc.rule || !tc.unknown && !slices.Equal(got.Spare, spare) {
				t.Errorf("changed %q by %q; spare: %q", got.Changed, got.ChangedBy, got.Spare)
			}
		})
	}
}

// Echo is described by its kind, since it has no ports.
func TestDescribe(t *testing.T) {
	for _, tc := range []struct {
		h    netfilter.Header
		want string
	}{
		{h: netfilter.Header{Proto: probe.ProtoICMP, ICMPType: 8}, want: "icmp echo request"},
		{h: netfilter.Header{Proto: probe.ProtoICMP, ICMPType: 0}, want: "icmp echo reply"},
		{h: netfilter.Header{Proto: probe.ProtoICMPv6, ICMPType: 128}, want: "icmpv6 echo request"},
		{h: netfilter.Header{Proto: probe.ProtoICMPv6, ICMPType: 129}, want: "icmpv6 echo reply"},
		{h: netfilter.Header{Proto: probe.ProtoICMP, ICMPType: 3}, want: "icmp"},
	} {
		tc.h.Src, tc.h.Dst = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
		if got := describe(tc.h); got != tc.want+" 10.0.0.1 > 10.0.0.2" {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

// A drop in chains of a known program is let pass in that program's words, and a rule of
// somebody else's beside them as ever.
func TestOwner(t *testing.T) {
	syn := header(probe.ProtoTCP, "10.0.0.1:4000", "10.0.0.2:80", 12)
	forward := netfilter.Chain{Table: netfilter.Table{Family: "ip", Name: "filter"}, Name: "FORWARD", Type: "filter", Hook: netfilter.Forward}
	in := func(chain string, s netfilter.Step) netfilter.Step {
		s.Chain = chain
		return s
	}
	user := in("DOCKER-USER", netfilter.Step{Kind: netfilter.EndStep, Verdict: netfilter.Verdict{Action: netfilter.Continue}})
	words := []string{"# Docker owns these rules and keeps those in DOCKER-USER; a reboot needs them again (iptables-persistent):",
		"iptables -I DOCKER-USER -s 10.0.0.1 -d 10.0.0.2 -p tcp --dport 80 -j ACCEPT",
		"iptables -I DOCKER-USER -s 10.0.0.2 -d 10.0.0.1 -p tcp --sport 80 -j ACCEPT"}
	for _, tc := range []struct {
		name  string
		last  netfilter.Step
		owner string
		fix   []string
	}{
		{name: "the policy", last: in("FORWARD", byPolicy(netfilter.Drop)), owner: "Docker", fix: words},
		{name: "a rule of its chain", last: in("DOCKER-ISOLATION-STAGE-2", by(8, netfilter.Drop, 0)), owner: "Docker", fix: words},
		{name: "a rule whose text is not known", last: in("DOCKER", by(6, netfilter.Drop, 0)), owner: "Docker", fix: words},
		{name: "a rule beside its chains", last: in("FORWARD", by(8, netfilter.Drop, 0)),
			fix: []string{"iptables -t filter -I FORWARD -s 10.0.0.1 -d 10.0.0.2 -p tcp --dport 80 -j ACCEPT"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := crossing(syn, netfilter.Visit{Chain: forward, Header: syn, Steps: []netfilter.Step{user, tc.last}})
			d := p.Traversal(web80).Drop
			if d.Owner != tc.owner || !slices.Equal(d.Fix, tc.fix) {
				t.Errorf("owner %q, fix\n%s", d.Owner, strings.Join(d.Fix, "\n"))
			}
			if d := p.Traversal(nil).Drop; d.Owner != tc.owner || d.Fix != nil {
				t.Errorf("without services: owner %q, fix %q", d.Owner, d.Fix)
			}
		})
	}
}
