//go:build linux

package faults

import (
	"fmt"
	"strings"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// faultsOfBothWays are drops that one rule more does not mend: something else would drop the
// packet a chain further on, or its answer.
func faultsOfBothWays() []fault {
	const drop, too = "drop comment culprit", "let it pass, too"
	behind := func(how string, inject func(s *site)) fault {
		return fault{code: diagnose.ForwardFirewall, how: how, side: "B", at: "B5", says: too, mends: true, inject: inject}
	}
	return []fault{
		behind("and the answer, by the policy", chains(hostH, "forward priority 0; policy drop", `iifname "wg0" tcp dport 22 accept`)),
		behind("and again, in later chains", func(s *site) {
			chains(hostH, "forward priority 0", "tcp dport 80 "+drop)(s)
			chains(hostH, "forward priority 10", "tcp dport { 80, 443 } reject")(s)
			chains(hostH, "postrouting priority 0", "tcp dport 80 drop")(s)
		}),
		behind("and the answer, by iptables", func(s *site) {
			for _, line := range []string{"-N users", "-A FORWARD -j users", "-A users -i wg0 -p tcp --dport 22 -j ACCEPT", "-P FORWARD DROP"} {
				s.H.Run(append([]string{"ip" + six(s) + "tables-nft"}, strings.Fields(line)...)...)
			}
		}),
		behind("and the answer, by its state",
			chains(hostH, "forward priority 0", "tcp dport 80 "+drop, "ct state established ct direction reply drop")),
		{code: diagnose.OutputFirewall, how: "and the answer, by the policy of input", side: "A", at: "A1", says: too, mends: true,
			inject: func(s *site) {
				chains(hostA, "output priority 0", `oifname "wg0" tcp dport 80 `+drop)(s)
				chains(hostA, "input priority 0; policy drop", "meta l4proto { udp, icmpv6 } accept", `iifname "lo" accept`)(s)
			}},
		{code: diagnose.DisallowedSource, how: "an address of its own choice", side: "B", at: "B4", says: "past the tunnel", mends: true,
			setup: func(s *site) { s.H.Run("ip", "route", "replace", "default", "via", s.IP(s.Addr.RWan), "dev", "wan") },
			twin: func(s *site) {
				s.A.Run("ip", "address", "add", s.other(), "dev", "wg0")
				s.A.Settle()
				s.H.Run("wg", "set", "wg0", "peer", s.Alice.Public, "allowed-ips", "10.0.0.1/32,fd0a::1/128,"+s.other())
				s.H.Run("ip", "route", "add", s.other(), "dev", "wg0")
			},
			inject: func(s *site) {
				s.H.Run("wg", "set", "wg0", "peer", s.Alice.Public, "allowed-ips", "10.0.0.1/32,fd0a::1/128")
				s.H.Run("ip", "route", "del", s.other(), "dev", "wg0")
			},
			ask: func(s *site) *diagnose.Report {
				c := s.A.Start("sh", "-c", fmt.Sprintf("while :; do curl -s -o /dev/null -m 2 --interface %s http://%s; sleep 0.2; done",
					s.other(), s.Web()))
				defer c.Stop()
				return s.ExplainOn(s.H, s.Web(), "--passive")
			}},
	}
}

// chains puts a chain into a table of its own, named after its hook and priority.
func chains(h func(s *site) *lab.Host, hook string, rules ...string) func(s *site) {
	name := strings.NewReplacer(" ", "_", ";", "", "-", "m").Replace(hook)
	script := "table inet " + name + " {\nchain c {\ntype filter hook " + hook + "\n" + strings.Join(rules, "\n") + "\n}\n}\n"
	return func(s *site) { h(s).RunInput(script, "nft", "-f", "-") }
}

// other is an address that A may have besides its own.
func (s *site) other() string {
	if s.V6 {
		return "fd77::5"
	}
	return "10.77.0.5"
}
