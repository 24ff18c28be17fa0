package rules

import (
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// An answer that connection tracking does not know is not translated back. Without a
// translation, or with one back, that is no fault.
func TestNotReversed(t *testing.T) {
	came := func(forth, back string, u *evidence.Untracked) *story {
		s := tell(probe.SideB).comesIn().kernel(evidence.FromTunnel, evidence.Traversal{Passed: "postrouting", Out: "lan", Translated: forth})
		return s.kernel(evidence.ToTunnel, evidence.Traversal{Passed: "input", In: "lan", Translated: back, Untracked: u})
	}
	rule := &evidence.Untracked{State: "untracked", By: "handle 3: notrack", Spare: []string{"nft insert rule x accept"}}
	const to = "source 10.0.0.1:4000 to 192.168.200.2:4000"
	for _, c := range []kernelCase{
		{"by a rule", came(to, "", rule), diagnose.ReturnFirewall, probe.B7, true, "nft insert rule x accept"},
		{"of no connection", came(to, "", &evidence.Untracked{State: "invalid"}), diagnose.ReturnFirewall, probe.B7, true, "conntrack -L"},
		{"not translated", came("", "", rule), diagnose.NoReplyFromDestination, probe.B7, false, ""},
		{"translated back", came(to, "destination 192.168.200.2:4000 to 10.0.0.1:4000", rule), diagnose.NoReplyFromDestination, probe.B7,
			false, ""},
		{"known", came(to, "", nil), diagnose.NoReplyFromDestination, probe.B7, false, ""},
	} {
		v, _ := c.s.judge()
		if v.Code != c.code || v.Checkpoint != c.at || v.Certain != c.sure || !strings.Contains(strings.Join(v.Fix.Lines(), "\n"), c.says) {
			t.Errorf("%s: %s at %s, certain %v: %s\n%q", c.name, v.Code, v.Checkpoint, v.Certain, v.Summary, v.Fix.Lines())
		}
	}
}

// That nobody answers for a client of the destination's network comes first, and is not
// certain: it is not seen that somebody asks.
func TestProxyMissing(t *testing.T) {
	asked := func(p *evidence.Proxy, translated string) *story {
		return tell(probe.SideB).comesIn().kernel(evidence.FromTunnel,
			evidence.Traversal{Passed: "postrouting", Out: "lan", Translated: translated, Proxy: p})
	}
	missing := evidence.Proxy{Addr: here.Addr(), Link: "lan", Evidence: "proxy_arp = 0", Fix: []string{"sysctl -w proxy_arp=1"}}
	there := missing
	there.Answers = true
	for _, c := range []struct {
		name string
		s    *story
		code diagnose.Code
	}{
		{"missing", asked(&missing, ""), diagnose.ProxyARPMissing},
		{"there", asked(&there, ""), diagnose.NoReplyFromDestination},
		{"of another network", asked(nil, ""), diagnose.NoReplyFromDestination},
		{"translated", asked(&missing, "source 10.0.0.1 to 192.168.200.2"), diagnose.NoReplyFromDestination},
	} {
		v, _ := c.s.judge()
		fixes := slices.Contains(v.Fix.Lines(), missing.Fix[0])
		if v.Code != c.code || v.Certain || fixes != (c.code == diagnose.ProxyARPMissing) || v.Candidates[0].Code != c.code && fixes {
			t.Errorf("%s: %s, certain %v, candidates %v\n%q", c.name, v.Code, v.Certain, v.Candidates, v.Fix.Lines())
		}
	}
}
