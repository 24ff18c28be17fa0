package observe

import (
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// The rule that lowered a packet's TTL is found by its words, whichever program's they are,
// also where the headers that follow are not seen; forwarding itself lowers it by one.
func TestLowered(t *testing.T) {
	texts := ruleset{
		1: {Text: "tcp dport 80 ip ttl set 1", Program: "nft"},
		2: {Text: "ip6 hoplimit set 3 comment \"x\"", Program: "nft"},
		3: {Text: "-p tcp -j TTL --ttl-set 200", Program: "iptables"},
		4: {Text: "-p tcp -j TTL --ttl-dec 60", Program: "iptables"},
		5: {Text: "-p tcp -j HL --hl-set 1", Program: "ip6tables"},
		6: {Text: "ip ttl 1 accept", Program: "nft"},
		7: {Text: "counter", Program: "nft"},
	}
	at := func(ttl uint8) netfilter.Header {
		h := header(probe.ProtoTCP, "10.0.0.1:4000", "192.0.2.1:80", 32)
		h.TTL = ttl
		return h
	}
	visit := func(hook netfilter.Hook, ttl uint8, handles ...uint64) netfilter.Visit {
		v := netfilter.Visit{Chain: chain("filter", hook), Header: at(ttl)}
		for _, h := range handles {
			v.Steps = append(v.Steps, by(h, netfilter.Continue, 0))
		}
		return v
	}
	for _, c := range []struct {
		name   string
		last   uint8
		end    netfilter.Hook // it passed that
		visits []netfilter.Visit
		to     int // 0: not lowered
		rule   bool
	}{
		{name: "no rule", last: 64, end: netfilter.Postrouting},
		{name: "forwarded", last: 63, end: netfilter.Postrouting, visits: []netfilter.Visit{visit(netfilter.Forward, 63, 7)}},
		{name: "by nft", last: 1, end: netfilter.Postrouting, visits: []netfilter.Visit{visit(netfilter.Postrouting, 1, 1)}, to: 1, rule: true},
		{name: "by nft, later", last: 3, end: netfilter.Postrouting, visits: []netfilter.Visit{visit(netfilter.Output, 64, 7),
			visit(netfilter.Postrouting, 64, 7, 2)}, to: 3, rule: true},
		{name: "by iptables, and lost", last: 64, visits: []netfilter.Visit{visit(netfilter.Prerouting, 64, 4)}, to: 4, rule: true},
		{name: "by ip6tables, and lost", last: 64, visits: []netfilter.Visit{visit(netfilter.Prerouting, 1, 5)}, to: 1, rule: true},
		{name: "raised", last: 200, end: netfilter.Postrouting, visits: []netfilter.Visit{visit(netfilter.Output, 200, 3)}},
		{name: "lowered, and raised again", last: 200, end: netfilter.Postrouting,
			visits: []netfilter.Visit{visit(netfilter.Output, 1, 1, 3)}},
		{name: "a rule that asks for it", last: 64, visits: []netfilter.Visit{visit(netfilter.Prerouting, 64, 6)}},
		{name: "by what is not known", last: 5, end: netfilter.Postrouting, visits: []netfilter.Visit{visit(netfilter.Output, 5, 7)}, to: 5},
	} {
		p := &Packet{Packet: &netfilter.Packet{First: at(64), Last: at(c.last), End: c.end, Visits: c.visits}, rules: texts}
		l := p.Lowered(func(uint16) bool { return false })
		switch {
		case l == nil && c.to == 0:
		case l == nil || l.To != c.to || l.From != 64 || (l.By != "") != c.rule || (len(l.Spare) > 0) != c.rule:
			t.Errorf("%s: %+v", c.name, l)
		}
	}
}
