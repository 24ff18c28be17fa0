//go:build linux

package faults

import (
	"net"

	"github.com/wgnode/wgnode/probe/diagnose"
)

// faultsOfHost are those of what a host itself has set: its policy rules, IPv6 on its links,
// the source of its packets; and of addresses that belong in no tunnel.
func faultsOfHost() []fault {
	onH := func(s *site) { s.H.ServeHTTP("[::]:8080", "hello") }
	askH := func(s *site) *diagnose.Report { return s.Overheard(net.JoinHostPort(s.Inner(2), "8080")) }
	// behindRule has rules asked before table local; elsewhere is a table that leads all away.
	behindRule := func(s *site) {
		ipH(s, "rule", "add", "pref", "500", "lookup", "local")
		ipH(s, "rule", "del", "pref", "0")
	}
	elsewhere := func(s *site) {
		ipH(s, "route", "add", "default", "via", addressB(s), "table", "77")
		behindRule(s)
	}
	return []fault{
		{code: diagnose.LocalTableBypassed, how: "a table ahead of table local", side: "B", at: "B7", says: "100: from all iif wg0 lookup 77",
			mends: true, setup: onH, ask: askH, twin: elsewhere,
			inject: func(s *site) { ipH(s, "rule", "add", "pref", "100", "iif", "wg0", "lookup", "77") }},
		{code: diagnose.LocalTableBypassed, how: "a prohibition ahead of table local", side: "B", at: "B7", says: "prohibit",
			mends: true, setup: onH, ask: askH, twin: behindRule,
			inject: func(s *site) { ipH(s, "rule", "add", "pref", "100", "to", s.Inner(2), "iif", "wg0", "prohibit") }},
		{code: diagnose.LocalTableBypassed, how: "of encrypted packets", side: "B", at: "B2", says: "iif wan lookup 77", mends: true, fresh: true,
			twin:   elsewhere,
			inject: func(s *site) { ipH(s, "rule", "add", "pref", "100", "iif", "wan", "lookup", "77") }},
		{code: diagnose.LocalTableBypassed, how: "of replies", side: "A", at: "A6", says: "iif wg0 prohibit", mends: true,
			twin: func(s *site) {
				ipA(s, "rule", "add", "pref", "500", "lookup", "local")
				ipA(s, "rule", "del", "pref", "0")
			},
			inject: func(s *site) { ipA(s, "rule", "add", "pref", "100", "iif", "wg0", "prohibit") }},

		{code: diagnose.IPv6Disabled, how: "of a service on H", side: "B", at: "B5", says: "wg0.disable_ipv6 = 1", mends: true, only: 6,
			setup: onH, ask: askH, inject: func(s *site) { s.H.Sysctl("net.ipv6.conf.wg0.disable_ipv6", "1") }},
		{code: diagnose.IPv6Disabled, how: "forwarded", side: "B", at: "B5", says: "wg0.disable_ipv6 = 1", mends: true, only: 6,
			inject: func(s *site) { s.H.Sysctl("net.ipv6.conf.wg0.disable_ipv6", "1") }},
		{code: diagnose.RouteBypassesTunnel, how: "IPv6 disabled on the tunnel", side: "A", at: "A1", says: "wg0.disable_ipv6 = 1", mends: true,
			only: 6, twin: func(s *site) { s.A.Sysctl("net.ipv6.conf.lo.disable_ipv6", "0") },
			inject: func(s *site) { s.A.Sysctl("net.ipv6.conf.wg0.disable_ipv6", "1") }},
		{code: diagnose.RouteBypassesTunnel, how: "MTU too small for IPv6", side: "A", at: "A1", says: "IPv6 needs 1280", mends: true, only: 6,
			inject: func(s *site) { s.A.Run("ip", "link", "set", "wg0", "mtu", "1200") }},
		{code: diagnose.NoReply, how: "the route has another source", side: "A", at: "A5", says: "is no address of wg0", mends: true,
			first: diagnose.DisallowedSource,
			twin:  func(s *site) { ipA(s, "route", "replace", s.HLan().String(), "dev", "wg0", "src", s.Inner(1)) },
			inject: func(s *site) {
				ipA(s, "route", "replace", s.HLan().String(), "dev", "wg0", "src", s.IP(s.Addr.A))
			}},

		{code: diagnose.NoAllowedIPsMatch, how: "the peer's endpoint", side: "A", at: "A1", says: "is the endpoint of gateway",
			conf: func(*site) {}, ask: func(s *site) *diagnose.Report { return s.Explain(s.HWan().Addr().String()) }},
		{code: diagnose.NoAllowedIPsMatch, how: "a multicast address", side: "A", at: "A1", says: "is a multicast address",
			conf: func(*site) {}, ask: func(s *site) *diagnose.Report {
				return s.Explain(map[bool]string{false: "224.0.0.251", true: "ff05::fb"}[s.V6])
			}},
	}
}
