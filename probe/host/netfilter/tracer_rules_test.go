//go:build linux

package netfilter_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/patience"
)

// Tables of one name in several families, as iptables-nft has them, are told
// apart.
func TestRuleOfTheFamily(t *testing.T) {
	n := newNetwork(t)
	f := flow{"udp", n.a, "10.0.1.2:4000", "10.0.2.2:53"}
	for _, order := range [][]string{{"ip", "ip6"}, {"ip6", "ip"}} {
		var tables strings.Builder
		for _, family := range order {
			fmt.Fprintf(&tables, "table %s t { chain f { type filter hook forward priority 0; udp dport 53 %s; } }\n", family,
				map[string]string{"ip": "drop", "ip6": "accept"}[family])
		}
		n.rules(tables.String())
		tr := n.start(f.match())
		f.send(t)
		p := n.next(tr)
		if r, err := n.rule(tr, p.Fate()); err != nil || r.Text != "udp dport 53 drop" {
			t.Errorf("%v: %v, %v", order, r, err)
		}
	}
}

// The text of a rule must be that of the rule that was traced.
func TestRuleOfTheTime(t *testing.T) {
	n := newNetwork(t)
	f := flow{"udp", n.a, "10.0.1.2:4000", "10.0.2.2:53"}
	const table = "table inet t { chain f { type filter hook forward priority 0; udp dport 53 drop; } }"
	traced := func() (*netfilter.Tracer, netfilter.Fate) {
		n.rules(table)
		tr := n.start(f.match())
		f.send(t)
		return tr, n.next(tr).Fate()
	}
	tr, fate := traced()
	n.r.Run("nft", "insert", "rule", "inet", "t", "f", "tcp", "dport", "1", "accept")
	if r, err := n.rule(tr, fate); err != nil || r.Text != "udp dport 53 drop" || r.Position != 2 {
		t.Errorf("with a rule before it: %v, %v", r, err)
	}
	n.r.Run("nft", "flush", "chain", "inet", "t", "f")
	if r, err := n.rule(tr, fate); !errors.Is(err, netfilter.ErrRuleGone) {
		t.Errorf("after the chain was flushed: %v, %v", r, err)
	}
	tr, fate = traced()
	n.rules("")
	if r, err := n.rule(tr, fate); !errors.Is(err, netfilter.ErrRuleGone) {
		t.Errorf("after the ruleset was flushed: %v, %v", r, err)
	}
	tr, fate = traced()
	// Handles begin anew: now another rule has that of the old one.
	n.rules(strings.Replace(table, "udp dport 53 drop", "udp dport 54 accept", 1))
	if r, err := n.rule(tr, fate); !errors.Is(err, netfilter.ErrTableReplaced) {
		t.Errorf("after a reload: %v, %v", r, err)
	}
	// But what is traced from now on is found.
	n.rules(table)
	ctx := patience.Context(t)
	for {
		f.send(t)
		p, err := tr.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		r, err := n.rule(tr, p.Fate())
		if err == nil {
			if r.Text != "udp dport 53 drop" {
				t.Errorf("rule %v", r)
			}
			return
		}
		if !errors.Is(err, netfilter.ErrTableReplaced) {
			t.Fatal(err)
		}
	}
}

// Without a program the rule is still named, and that its text is not known.
func TestNoProgram(t *testing.T) {
	n := newNetwork(t)
	f := flow{"udp", n.a, "10.0.1.2:4000", "10.0.2.2:53"}
	n.rules("table inet t { chain f { type filter hook forward priority 0; udp dport 53 reject; } }")
	tr := n.start(f.match())
	f.send(t)
	fate := n.next(tr).Fate()
	t.Setenv("PATH", "/nonexistent")
	r, err := n.rule(tr, fate)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("inet t f handle %d: rule text unknown: the nft program is not installed", fate.Step.Handle)
	if r.String() != want || !r.Reject {
		t.Errorf("rule %q, reject %v; want %q", r, r.Reject, want)
	}
}
