//go:build linux

package faults

import (
	"fmt"
	"net"
	"os"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// faultsOfTTL are those of rules that lower the TTL of packets on their host.
func faultsOfTTL() []fault {
	// sets has rules that give packets to a port a TTL: nft's, or else those of iptables.
	sets := func(h func(*site) *lab.Host, hook, proto string, port int, ttl string, nft bool) func(*site) {
		return func(s *site) {
			chain := map[string]string{"prerouting": "PREROUTING", "postrouting": "POSTROUTING"}[hook]
			switch {
			case nft:
				field := map[bool]string{false: "ip ttl", true: "ip6 hoplimit"}[s.V6]
				sitetest.NFT(h(s), hook, fmt.Sprintf("%s dport %d %s set %s comment %s", proto, port, field, ttl, culprit))
			case s.V6:
				h(s).Run("ip6tables", "-t", "mangle", "-A", chain, "-p", proto, "--dport", fmt.Sprint(port), "-j", "HL", "--hl-set", ttl)
			default:
				h(s).Run("iptables", "-t", "mangle", "-A", chain, "-p", proto, "--dport", fmt.Sprint(port), "-j", "TTL", "--ttl-set", ttl)
			}
		}
	}
	const ours = "a rule of this host sets the TTL"
	return []fault{
		{code: diagnose.TTLExceeded, how: "a rule of A sets the TTL", side: "A", at: "B5", says: ours, mends: true,
			twin: sets(hostA, "postrouting", "tcp", 81, "1", true), inject: sets(hostA, "postrouting", "tcp", 80, "1", true)},
		{code: diagnose.TTLExceeded, how: "a rule of A sets the TTL, iptables", side: "A", at: "B5", says: ours, mends: true,
			twin: sets(hostA, "postrouting", "tcp", 80, "9", false), inject: sets(hostA, "postrouting", "tcp", 80, "1", false)},
		{code: diagnose.TTLExceeded, how: "a rule of H sets the TTL", side: "B", at: "B5", says: ours, mends: true,
			twin: sets(hostH, "prerouting", "tcp", 80, "9", true), inject: sets(hostH, "prerouting", "tcp", 80, "1", true)},
		{code: diagnose.TTLExceeded, how: "a rule of H sets the TTL, iptables", side: "B", at: "B5", says: ours, mends: true,
			twin: sets(hostH, "prerouting", "tcp", 80, "9", false), inject: sets(hostH, "prerouting", "tcp", 80, "1", false)},
		{code: diagnose.TTLExceeded, how: "of encrypted packets", side: "A", at: "A3", says: ours, mends: true, fresh: true,
			twin: sets(hostA, "postrouting", "udp", 51820, "9", true), inject: sets(hostA, "postrouting", "udp", 51820, "1", true)},
	}
}

// faultsOfForcedForwarding are those of a host that forwards IPv6 of some links, and is no
// router. What a single link has for forwarding is nothing to that.
func faultsOfForcedForwarding() []fault {
	force := func(s *site, link, value string) { s.H.Sysctl("net.ipv6.conf."+link+".force_forwarding", value) }
	forced := func(s *site) {
		if _, err := os.Stat("/proc/sys/net/ipv6/conf/lo/force_forwarding"); err != nil {
			s.T.Skip("force_forwarding needs Linux 6.17")
		}
		s.H.Sysctl("net.ipv6.conf.all.forwarding", "0") // which takes it from the links
		force(s, "wg0", "1")
		force(s, "lan", "1")
	}
	return []fault{
		{code: diagnose.ForwardingDisabled, how: "not forced for the tunnel", side: "B", at: "B5", says: "wg0.force_forwarding", mends: true,
			only: 6, twin: forced, inject: func(s *site) { force(s, "wg0", "0") }},
		{code: diagnose.ForwardingDisabled, how: "not forced for the way back", side: "B", at: "B7", says: "lan.force_forwarding", mends: true,
			only: 6, twin: forced, inject: func(s *site) { force(s, "lan", "0") }},
		{code: diagnose.ForwardingDisabled, how: "off for the host, on for the links", side: "B", at: "B5", says: "all.forwarding = 0",
			mends: true, only: 6, twin: func(s *site) { s.H.Sysctl("net.ipv6.conf.wg0.forwarding", "0") },
			inject: func(s *site) {
				s.H.Sysctl("net.ipv6.conf.all.forwarding", "0")
				s.H.Sysctl("net.ipv6.conf.wg0.forwarding", "1")
				s.H.Sysctl("net.ipv6.conf.lan.forwarding", "1")
			}},
	}
}

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
		{code: diagnose.NoReply, how: "the route has another source", side: "A", at: "A5", says: "is not an address of wg0", mends: true,
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
