package observe

import (
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// What connection tracking does not know is told by its state, or on older kernels by the
// rule that excludes it.
func TestUntracked(t *testing.T) {
	texts := ruleset{1: {Text: "tcp sport 80 notrack", Program: "nft"}, 2: {Text: "-p tcp -j CT --notrack", Program: "iptables"},
		3: {Text: "counter", Program: "nft"}}
	for _, c := range []struct {
		name  string
		ct    netfilter.Conntrack
		rules []uint64
		state string
		by    bool
	}{
		{name: "tracked", ct: netfilter.Conntrack{Known: true, State: netfilter.Established, ID: 7}, rules: []uint64{3}},
		{name: "excluded", ct: netfilter.Conntrack{Known: true, State: netfilter.Untracked}, rules: []uint64{3, 1}, state: "untracked", by: true},
		{name: "excluded, the rule not seen", ct: netfilter.Conntrack{Known: true, State: netfilter.Untracked}, state: "untracked"},
		{name: "excluded, an older kernel", rules: []uint64{2}, state: "untracked", by: true},
		{name: "no part of a connection", ct: netfilter.Conntrack{Known: true, State: netfilter.Invalid}, rules: []uint64{3}, state: "invalid"},
		{name: "an older kernel", rules: []uint64{3}},
	} {
		h := header(probe.ProtoTCP, "192.0.2.1:80", "10.0.0.1:4000", 32)
		h.Conntrack = c.ct
		v := netfilter.Visit{Chain: chain("filter", netfilter.Prerouting), Header: h}
		for _, r := range c.rules {
			v.Steps = append(v.Steps, by(r, netfilter.Continue, 0))
		}
		p := &Packet{Packet: &netfilter.Packet{First: h, Last: h, Visits: []netfilter.Visit{v}}, rules: texts}
		u := p.Untracked(func(uint16) bool { return false })
		switch {
		case u == nil && c.state == "":
		case u == nil || u.State != c.state || (u.By != "") != c.by || (len(u.Spare) > 0) != c.by:
			t.Errorf("%s: %+v", c.name, u)
		}
	}
}
