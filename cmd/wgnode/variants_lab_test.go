//go:build linux

package main

import (
	"fmt"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// The same causes by other means, and at other moments, than in TestVerdicts:
// what matters is what was seen, not how the test made it happen.
func TestVerdictVariants(t *testing.T) {
	web := func(s *site) *diagnose.Report { return s.explain(s.web()) }
	for _, c := range []struct {
		name  string
		fault func(s *site)
		later func(s *site)
		ask   func(s *site) *diagnose.Report
		want  diagnose.Code
	}{
		{"router REJECT", func(s *site) { nft(s.R, "forward", "udp dport 51820 reject") }, nil, web, diagnose.EndpointPortClosed},
		{"host REJECT", func(s *site) { nft(s.H, "input", "udp dport 51820 reject") }, nil, web, diagnose.EndpointPortClosed},
		{"postrouting drop", func(s *site) { nft(s.A, "postrouting", "udp dport 51820 drop") }, nil, web, diagnose.UnderlayOutputFirewall},
		{"output reject", func(s *site) { nft(s.A, "output", "udp dport 51820 reject") }, nil, web, diagnose.UnderlayOutputFirewall},
		{"rule prohibit", func(s *site) { s.A.Run("ip", s.flag(), "rule", "add", "to", s.ip(s.Addr.HWan), "prohibit") }, nil, web, diagnose.EndpointNotRouted},
		{"rule blackhole inner", nil, func(s *site) { s.A.Run("ip", s.flag(), "rule", "add", "to", s.ip(s.Addr.B), "blackhole") }, web, diagnose.DestNotRouted},
		{"more specific route", nil, func(s *site) { s.A.Run("ip", s.flag(), "route", "add", s.ip(s.Addr.B), "via", s.ip(s.Addr.RLan)) }, web, diagnose.RouteBypassesTunnel},
		{"inner output drop", nil, func(s *site) { nft(s.A, "output", "oifname wg0 drop") }, web, diagnose.OutputFirewall},
		{"inner output reject", nil, func(s *site) { nft(s.A, "output", "oifname wg0 reject with tcp reset") }, web, diagnose.OutputFirewall},
		{"inner input drop", nil, func(s *site) { nft(s.A, "input", "iifname wg0 drop") }, web, diagnose.InputFirewall},
		{"session, then path cut", nil, func(s *site) {
			s.explain(s.web())
			nft(s.R, "forward", "udp dport 51820 drop")
		}, web, diagnose.NoResponse},
		{"session, then way back cut", nil, func(s *site) {
			s.explain(s.web())
			nft(s.R, "forward", "udp sport 51820 drop")
		}, web, diagnose.NoResponse},
		{"session, then H gone", nil, func(s *site) {
			s.explain(s.web())
			s.H.Run(s.wgnode, "down", "wg0")
		}, web, diagnose.EndpointPortClosed},
		{"psk on A only", func(s *site) {
			s.confA.replace(s.t, "AllowedIPs", "PresharedKey = "+lab.NewKey(s.t).Private+"\nAllowedIPs")
		}, nil, web, diagnose.PSKMismatch},
		{"B drops", func(s *site) { nft(s.B, "input", "tcp dport 80 drop") }, nil, web, diagnose.NoReply},
		{"B rejects", func(s *site) { nft(s.B, "input", "tcp dport 80 reject with tcp reset") }, nil, web, diagnose.ConnectionRefused},
		{"H rejects forward", func(s *site) { nft(s.H, "forward", "iifname wg0 reject with icmpx admin-prohibited") }, nil, web, diagnose.ForwardFirewall},
		{"H knows no way", func(s *site) { s.H.Run("ip", s.flag(), "route", "del", s.hlan().String()) }, nil, web, diagnose.NoRouteOnward},
		{"own input firewall", func(s *site) { nft(s.A, "input", "udp sport 51820 drop") }, nil, web, diagnose.UnderlayInputFirewall},
		{"prohibit route on the way", func(s *site) { s.R.Run("ip", s.flag(), "route", "add", "prohibit", s.ip(s.Addr.HWan)) }, nil, web, diagnose.EndpointProhibited},
		{"the called side calls", nil, nil, func(s *site) *diagnose.Report { return s.explainOn(s.H, s.inner(1)) }, diagnose.NoEndpoint},
	} {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/v6=%v", c.name, v6), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, v6)
				if c.fault != nil {
					c.fault(s)
				}
				s.upBoth()
				if c.later != nil {
					c.later(s)
				}
				s.want(c.ask(s), c.want, "")
			})
		}
	}
}
