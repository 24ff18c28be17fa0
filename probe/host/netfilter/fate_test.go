//go:build linux

package netfilter_test

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// forward begins a chain that accepts.
const forward = "chain f { type filter hook forward priority 0; policy accept; "

// The flows of fateTests: through the router, to it, and from it.

func udp4(n *network) flow  { return flow{"udp", n.a, "10.0.1.2:4000", "10.0.2.2:53"} }
func udp6(n *network) flow  { return flow{"udp", n.a, "[fd00:1::2]:4000", "[fd00:2::2]:53"} }
func tcp4(n *network) flow  { return flow{"tcp", n.a, "10.0.1.2:4001", "10.0.2.2:80"} }
func tcp6(n *network) flow  { return flow{"tcp", n.a, "[fd00:1::2]:4001", "[fd00:2::2]:80"} }
func echo4(n *network) flow { return flow{"icmp", n.a, "10.0.1.2", "10.0.2.2"} }
func echo6(n *network) flow { return flow{"icmp", n.a, "fd00:1::2", "fd00:2::2"} }
func in4(n *network) flow   { return flow{"udp", n.a, "10.0.1.2:4002", "10.0.1.1:53"} }
func in6(n *network) flow   { return flow{"tcp", n.a, "[fd00:1::2]:4002", "[fd00:1::1]:80"} }
func out4(n *network) flow  { return flow{"udp", n.r, "10.0.2.1:4003", "10.0.2.2:53"} }
func out6(n *network) flow  { return flow{"icmp", n.r, "fd00:2::1", "fd00:2::2"} }

// fateTests are rules, and what is told of a packet that meets them.
var fateTests = []struct {
	name     string
	flow     func(n *network) flow
	rules    string   // of nft
	iptables []string // arguments, one command each
	outcome  netfilter.Outcome
	hook     netfilter.Hook
	chain    string // where it was decided: the base chain
	in       string // and the chain with the rule, if it is another
	text     string // a part of the rule's text, "" for a policy
	reject   bool
}{
	{name: "nothing in the way", flow: udp4, outcome: netfilter.Passed, hook: netfilter.Postrouting},
	{name: "nothing in the way, IPv6", flow: tcp6, outcome: netfilter.Passed, hook: netfilter.Postrouting},
	{name: "nothing in the way in", flow: in6, outcome: netfilter.Passed, hook: netfilter.Input},
	{name: "nothing in the way out", flow: out4, outcome: netfilter.Passed, hook: netfilter.Postrouting},
	{
		name: "inet", flow: tcp4,
		rules:   "table inet t { " + forward + "tcp dport 80 counter drop\n tcp dport 80 drop; } }",
		outcome: netfilter.Dropped, hook: netfilter.Forward, chain: "inet t f", text: "tcp dport 80 counter drop",
	}, {
		name: "another table would drop too", flow: echo4,
		rules: `table ip first { chain f { type filter hook forward priority -1; ip daddr 10.0.2.2 drop; } }
				table inet second { ` + forward + "ip saddr 10.0.1.2 drop; } }",
		outcome: netfilter.Dropped, hook: netfilter.Forward, chain: "ip first f", text: "ip daddr 10.0.2.2 drop",
	}, {
		name: "ip6", flow: echo6,
		rules:   "table ip6 t { " + forward + "icmpv6 type echo-request drop; } }",
		outcome: netfilter.Dropped, hook: netfilter.Forward, chain: "ip6 t f", text: "icmpv6 type echo-request drop",
	}, {
		name: "policy", flow: udp6,
		rules:   "table inet t { chain f { type filter hook forward priority 0; policy drop; tcp dport 1 accept; } }",
		outcome: netfilter.Dropped, hook: netfilter.Forward, chain: "inet t f",
	}, {
		name: "accepted by one chain, dropped by the next", flow: udp4,
		rules: `table inet one { chain f { type filter hook forward priority -5; udp dport 53 accept; } }
				table inet two { chain f { type filter hook forward priority 5; policy drop; } }`,
		outcome: netfilter.Dropped, hook: netfilter.Forward, chain: "inet two f",
	}, {
		name: "reject", flow: tcp6,
		rules:   "table inet t { " + forward + "tcp dport 80 reject with tcp reset; } }",
		outcome: netfilter.Dropped, hook: netfilter.Forward, chain: "inet t f", text: "reject with tcp reset", reject: true,
	}, {
		name: "prerouting raw", flow: tcp4,
		rules:   "table inet t { chain p { type filter hook prerouting priority raw; ip saddr 10.0.1.0/24 drop; } }",
		outcome: netfilter.Dropped, hook: netfilter.Prerouting, chain: "inet t p", text: "ip saddr 10.0.1.0/24 drop",
	}, {
		name: "before raw", flow: tcp4,
		rules:   "table inet t { chain p { type filter hook prerouting priority -1000; meta l4proto tcp drop; } }",
		outcome: netfilter.Dropped, hook: netfilter.Prerouting, chain: "inet t p", text: "meta l4proto tcp drop",
	}, {
		name: "postrouting", flow: udp6,
		rules:   `table inet t { chain p { type filter hook postrouting priority 300; oifname "b" drop; } }`,
		outcome: netfilter.Dropped, hook: netfilter.Postrouting, chain: "inet t p", text: `oifname "b" drop`,
	}, {
		name: "chain that is jumped to", flow: tcp4,
		rules: `table inet t {
				chain inner { tcp dport 80 drop; }
				chain outer { tcp dport 443 drop; jump inner; }
				` + forward + "jump outer; } }",
		outcome: netfilter.Dropped, hook: netfilter.Forward, chain: "inet t f", in: "inner", text: "tcp dport 80 drop",
	}, {
		name: "set", flow: udp4,
		rules: `table inet t { set bad { type ipv4_addr; elements = { 10.0.1.2, 10.0.1.3 }; }
				` + forward + "ip saddr @bad drop; } }",
		outcome: netfilter.Dropped, hook: netfilter.Forward, chain: "inet t f", text: "ip saddr @bad drop",
	}, {
		name: "verdict map", flow: udp4,
		rules:   "table inet t { " + forward + "udp dport vmap { 52 : accept, 53 : drop }; } }",
		outcome: netfilter.Dropped, hook: netfilter.Forward, chain: "inet t f", text: "udp dport vmap { 52 : accept, 53 : drop }",
	}, {
		name: "input", flow: in4,
		rules:   "table inet t { chain i { type filter hook input priority 0; udp dport 53 drop; } }",
		outcome: netfilter.Dropped, hook: netfilter.Input, chain: "inet t i", text: "udp dport 53 drop",
	}, {
		name: "output", flow: out6,
		rules:   "table ip6 t { chain o { type filter hook output priority 0; ip6 daddr fd00:2::2 drop; } }",
		outcome: netfilter.Dropped, hook: netfilter.Output, chain: "ip6 t o", text: "ip6 daddr fd00:2::2 drop",
	}, {
		name: "output, rejected", flow: out4,
		rules:   "table ip t { chain o { type filter hook output priority 0; meta l4proto udp reject; } }",
		outcome: netfilter.Dropped, hook: netfilter.Output, chain: "ip t o", text: "meta l4proto udp reject", reject: true,
	}, {
		name: "iptables", flow: tcp4,
		iptables: []string{
			"iptables -A FORWARD -p tcp --dport 443 -j DROP",
			"iptables -A FORWARD -p tcp --dport 80 -m comment --comment nobody -j DROP",
		},
		outcome: netfilter.Dropped, hook: netfilter.Forward, chain: "ip filter FORWARD",
		text: `-A FORWARD -p tcp -m tcp --dport 80 -m comment --comment nobody -j DROP`,
	}, {
		name: "iptables, chain of its own", flow: udp6,
		iptables: []string{
			"ip6tables -N guard", "ip6tables -A FORWARD -j guard",
			"ip6tables -A guard -p udp -j REJECT",
		},
		outcome: netfilter.Dropped, hook: netfilter.Forward, chain: "ip6 filter FORWARD", in: "guard",
		text: "-A guard -p udp -j REJECT", reject: true,
	}, {
		name: "iptables, policy", flow: in4,
		iptables: []string{"iptables -P INPUT DROP"},
		outcome:  netfilter.Dropped, hook: netfilter.Input, chain: "ip filter INPUT",
	}, {
		name: "iptables, raw", flow: tcp4,
		iptables: []string{"iptables -t raw -A PREROUTING -p tcp -j DROP"},
		outcome:  netfilter.Dropped, hook: netfilter.Prerouting, chain: "ip raw PREROUTING",
		text: "-A PREROUTING -p tcp -j DROP",
	}, {
		name: "iptables, mangle", flow: out4,
		iptables: []string{"iptables -t mangle -A POSTROUTING -p udp -j DROP"},
		outcome:  netfilter.Dropped, hook: netfilter.Postrouting, chain: "ip mangle POSTROUTING",
		text: "-A POSTROUTING -p udp -j DROP",
	}, {
		name: "ingress of a device", flow: udp4,
		rules: `table netdev other { chain b { type filter hook ingress device "b" priority 0; policy drop; } }
				table netdev t { chain i { type filter hook ingress device "a" priority 5; udp dport 52 accept; udp dport 53 drop; } }`,
		outcome: netfilter.Dropped, hook: netfilter.Ingress, chain: "netdev t i", text: "udp dport 53 drop",
	}, {
		name: "ingress of a device, IPv6, chain that is jumped to", flow: tcp6,
		rules: `table inet t { chain inner { tcp dport 80 drop; }
				chain i { type filter hook ingress device "a" priority -450; meta protocol ip6 jump inner; } }`,
		outcome: netfilter.Dropped, hook: netfilter.Ingress, chain: "inet t i", in: "inner", text: "tcp dport 80 drop",
	}, {
		name: "ingress of a device, policy", flow: echo4,
		rules:   `table netdev t { chain i { type filter hook ingress device "a" priority 0; policy drop; meta protocol != ip accept; } }`,
		outcome: netfilter.Dropped, hook: netfilter.Ingress, chain: "netdev t i",
	}, {
		name: "passed by the ingress of a device, dropped later", flow: in4,
		rules: `table netdev t { chain i { type filter hook ingress device "a" priority 0; udp dport 53 accept; } }
				table inet t { chain i { type filter hook input priority 0; udp dport 53 drop; } }`,
		outcome: netfilter.Dropped, hook: netfilter.Input, chain: "inet t i", text: "udp dport 53 drop",
	}, {
		name: "egress of a device", flow: tcp4,
		rules:   `table netdev t { chain e { type filter hook egress device "b" priority 0; tcp dport 80 drop; } }`,
		outcome: netfilter.Dropped, hook: netfilter.Egress, chain: "netdev t e", text: "tcp dport 80 drop",
	}, {
		name: "egress of a device, from here", flow: out6,
		rules:   `table netdev t { chain e { type filter hook egress device "b" priority 0; meta protocol ip6 ip6 daddr fd00:2::2 drop; } }`,
		outcome: netfilter.Dropped, hook: netfilter.Egress, chain: "netdev t e", text: "ip6 daddr fd00:2::2 drop",
	}, {
		name: "passed by the egress of a device", flow: out4,
		rules:   `table netdev t { chain e { type filter hook egress device "b" priority 0; udp dport 53 accept; } }`,
		outcome: netfilter.Passed, hook: netfilter.Postrouting,
	},
}

// Each packet must be blamed on the rule that dropped it, and on no other.
func TestFate(t *testing.T) {
	n := newNetwork(t)
	for _, tt := range fateTests {
		t.Run(tt.name, func(t *testing.T) {
			n := n.with(t)
			n.rules(tt.rules)
			for _, command := range tt.iptables {
				lab.Need(t, strings.Fields(command)[0])
				n.r.Run(strings.Fields(command)...)
			}
			tr := n.start(tt.flow(n).match())
			tt.flow(n).send(t)
			p := n.next(tr)
			if tt.hook == netfilter.Egress { // which is behind all other hooks
				if f := p.Fate(); f.Outcome != netfilter.Passed {
					t.Errorf("before: %+v", f)
				}
				p = n.next(tr)
			}
			if err := tr.Unwatched(); err != nil {
				t.Error(err)
			}
			f := p.Fate()
			if f.Outcome != tt.outcome || f.Hook != tt.hook {
				t.Fatalf("%v in %v, want %v in %v: %+v", f.Outcome, f.Hook, tt.outcome, tt.hook, p)
			}
			if tt.outcome != netfilter.Dropped {
				return
			}
			if f.Chain.String() != tt.chain {
				t.Errorf("decided in %v, want %v", f.Chain, tt.chain)
			}
			if tt.in != "" && f.Step.Chain != tt.in {
				t.Errorf("by a rule of chain %v, want %v", f.Step.Chain, tt.in)
			}
			if tt.text == "" {
				if f.Step.Kind != netfilter.PolicyStep || !f.Chain.Drops {
					t.Errorf("decided by %+v, want the policy", f.Step)
				}
				return
			}
			rule, err := n.rule(tr, f)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(rule.Text, tt.text) || rule.Handle != f.Step.Handle {
				t.Errorf("rule %v, want %q", rule, tt.text)
			}
			if rule.Reject != tt.reject {
				t.Errorf("rule %v: reject is %v", rule, rule.Reject)
			}
		})
	}
}
