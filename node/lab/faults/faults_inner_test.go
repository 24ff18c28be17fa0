//go:build linux

package faults

import (
	"fmt"
	"net"
	"slices"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// faultsBeforeTunnel are those of A's own packets on their way into the tunnel: A1; of
// the reply on its way out: A6; and what is no fault of the tunnel's.
func faultsBeforeTunnel() []fault {
	return slices.Concat(faultsOfRoute(), faultsBeyondRoute(), faultsOfFirewallA())
}

// ipA runs ip(8) on A, in the site's family; ipH on H.
func ipA(s *site, args ...string) { s.A.Run(append([]string{"ip", s.Flag()}, args...)...) }
func ipH(s *site, args ...string) { s.H.Run(append([]string{"ip", s.Flag()}, args...)...) }

// addressB is B's address in the site's family.
func addressB(s *site) string { return s.IP(s.Addr.B) }

// faultsOfRoute are those of A's routing to B.
func faultsOfRoute() []fault {
	return []fault{
		{code: diagnose.Healthy, how: "echo of H", side: "A",
			conf: func(*site) {}, ask: func(s *site) *diagnose.Report { return s.Explain(s.Inner(2)) }},
		{code: diagnose.Healthy, how: "echo of B", side: "A",
			conf: func(*site) {}, ask: func(s *site) *diagnose.Report { return s.Explain(addressB(s)) }},
		{code: diagnose.Healthy, how: "overheard", side: "B", conf: func(*site) {}},

		{code: diagnose.DestNotRouted, how: "blackhole rule", side: "A", at: "A1", says: "blackhole", mends: true,
			twin:   func(s *site) { ipA(s, "rule", "add", "pref", "40000", "to", addressB(s), "blackhole") },
			inject: func(s *site) { ipA(s, "rule", "add", "pref", "1000", "to", addressB(s), "blackhole") }},
		{code: diagnose.DestNotRouted, how: "prohibit rule of a port", side: "A", at: "A1", says: "dport 80", mends: true,
			twin:   func(s *site) { ipA(s, "rule", "add", "pref", "1000", "ipproto", "tcp", "dport", "81", "prohibit") },
			inject: func(s *site) { ipA(s, "rule", "add", "pref", "1001", "ipproto", "tcp", "dport", "80", "prohibit") }},
		{code: diagnose.DestNotRouted, how: "unreachable route", side: "A", at: "A1", says: "unreachable", mends: true,
			twin:   func(s *site) { ipA(s, "route", "add", "unreachable", s.HLan().String(), "metric", "9999") },
			inject: func(s *site) { ipA(s, "route", "add", "unreachable", addressB(s)) }},
		{code: diagnose.DestNotRouted, how: "prohibit route in another table", side: "A", at: "A1", mends: true,
			twin: func(s *site) { ipA(s, "route", "add", "prohibit", addressB(s), "table", "77") },
			inject: func(s *site) {
				ipA(s, "rule", "add", "pref", "1000", "lookup", "77")
			}},
		{code: diagnose.DestNotRouted, how: "no route", side: "A", at: "A1", mends: true,
			inject: func(s *site) {
				ipA(s, "route", "add", s.IP(s.Addr.HWan), "via", s.IP(s.Addr.RLan))
				ipA(s, "route", "del", "default")
				ipA(s, "route", "del", s.HLan().String())
			}},

		{code: diagnose.RouteBypassesTunnel, how: "more specific route", side: "A", at: "A1", mends: true,
			twin:   func(s *site) { ipA(s, "route", "add", s.HLan().String(), "via", s.IP(s.Addr.RLan), "metric", "9999") },
			inject: func(s *site) { ipA(s, "route", "add", addressB(s), "via", s.IP(s.Addr.RLan)) }},
		{code: diagnose.RouteBypassesTunnel, how: "route gone", side: "A", at: "A1", mends: true,
			inject: func(s *site) { ipA(s, "route", "del", s.HLan().String()) }},
		{code: diagnose.RouteBypassesTunnel, how: "rule and table", side: "A", at: "A1", says: "lookup 77", mends: true,
			twin: func(s *site) {
				ipA(s, "route", "add", "default", "via", s.IP(s.Addr.RLan), "table", "77")
				ipA(s, "rule", "add", "pref", "40000", "to", addressB(s), "lookup", "77")
			},
			inject: func(s *site) { ipA(s, "rule", "add", "pref", "1000", "to", addressB(s), "lookup", "77") }},

		{code: diagnose.RouteBypassesTunnel, how: "rule of a port", side: "A", at: "A1", says: "lookup 77", mends: true,
			twin: func(s *site) {
				ipA(s, "route", "add", "default", "via", s.IP(s.Addr.RLan), "table", "77")
				ipA(s, "rule", "add", "pref", "1000", "ipproto", "udp", "dport", "80", "lookup", "77")
			},
			inject: func(s *site) { ipA(s, "rule", "add", "pref", "1001", "ipproto", "tcp", "dport", "80", "lookup", "77") }},
		{code: diagnose.RouteBypassesTunnel, how: "interface down", side: "A", at: "A1", says: "is down", mends: true,
			inject: func(s *site) { s.A.Run("ip", "link", "set", "wg0", "down") }},
		{code: diagnose.RouteBypassesTunnel, how: "address gone, and its routes", side: "A", at: "A1",
			says: "ip address add 10.0.0.1/24", mends: true, only: 4,
			inject: func(s *site) { s.A.Run("ip", "address", "del", "10.0.0.1/24", "dev", "wg0") }},
		{code: diagnose.NoReply, how: "address gone, another source", side: "A", at: "A5", says: "ip address add fd0a::1/64",
			first: diagnose.DisallowedSource, only: 6,
			inject: func(s *site) { s.A.Run("ip", "address", "del", "fd0a::1/64", "dev", "wg0") }},
		{code: diagnose.NoReply, how: "translated here", side: "A", at: "A5", says: "translates", first: diagnose.DisallowedSource,
			inject: func(s *site) {
				s.A.RunInput(fmt.Sprintf("table inet t {\n chain c {\n type nat hook postrouting priority srcnat\n oifname wg0 snat %s to %s\n }\n}\n",
					map[bool]string{false: "ip", true: "ip6"}[s.V6], s.Inner(9)), "nft", "-f", "-")
			}},
	}
}

// faultsBeyondRoute are those of AllowedIPs, and of ports where nothing listens.
func faultsBeyondRoute() []fault {
	closed := func(s *site) *diagnose.Report { return s.Explain(net.JoinHostPort(addressB(s), "81")) }
	return []fault{
		{code: diagnose.NoAllowedIPsMatch, how: "not in the file", side: "A", at: "A1", mends: true,
			twin: func(*site) {},
			conf: func(s *site) { s.ConfA.Replace(s.T, ", "+s.HLan().String(), "") }},
		{code: diagnose.NoAllowedIPsMatch, how: "taken out, reloaded", side: "A", at: "A1", says: "wgnode reload wg0", mends: true,
			inject: func(s *site) {
				other := lab.NewKey(s.T).Public
				s.A.Run("wg", "set", "wg0", "peer", other, "allowed-ips", s.HLan().String())
				s.A.Run("wg", "set", "wg0", "peer", other, "remove")
			}},
		{code: diagnose.NoAllowedIPsMatch, how: "taken out, still routed", side: "A", at: "A1", says: "refused there", mends: true,
			inject: func(s *site) { s.A.Run("wg", "set", "wg0", "peer", s.Gateway.Public, "allowed-ips", s.Inner(2)) }},

		{code: diagnose.ConnectionRefused, how: "nothing listens on B", side: "A", conf: func(*site) {}, ask: closed, says: "tunnel works"},
		{code: diagnose.ConnectionRefused, how: "nothing listens on H", side: "A", conf: func(*site) {},
			ask: func(s *site) *diagnose.Report { return s.Explain(net.JoinHostPort(s.Inner(2), "8080")) }},
		{code: diagnose.ConnectionRefused, how: "nothing listens on B", side: "B", conf: func(*site) {},
			ask: func(s *site) *diagnose.Report { return s.Overheard(net.JoinHostPort(addressB(s), "81")) }},
		{code: diagnose.ConnectionRefused, how: "nothing listens on H", side: "B", conf: func(*site) {},
			ask: func(s *site) *diagnose.Report { return s.Overheard(net.JoinHostPort(s.Inner(2), "8080")) }},
	}
}

// faultsOfFirewallA are those of A's packet filter, and of what it does to routing.
func faultsOfFirewallA() []fault {
	web := these(packets{proto: "tcp", dport: 80, oif: "wg0"})
	var all []fault
	all = append(all, behind(fault{code: diagnose.ConnectionRefused, how: "by ICMP", side: "A", says: "by a firewall rule"},
		hostB, these(packets{proto: "tcp", dport: 80}),
		chain("inet filter input 0", "reject"))...)
	all = append(all, behind(fault{code: diagnose.ConnectionRefused, side: "A"}, hostB, these(packets{proto: "tcp", dport: 80}),
		chain("inet filter input 0", "reject with tcp reset"))...)
	all = append(all, behind(fault{code: diagnose.RouteBypassesTunnel, side: "A", at: "A1", says: culprit, mends: true},
		hostA, these(packets{proto: "tcp", dport: 80}),
		chain("inet nat output -100", "redirect to :9999"), translate())...)
	all = append(all, behind(fault{code: diagnose.RouteBypassesTunnel, how: "marked", side: "A", at: "A1", says: culprit,
		mends: true, setup: func(s *site) {
			ipA(s, "route", "add", "default", "via", s.IP(s.Addr.RLan), "table", "77")
			ipA(s, "rule", "add", "pref", "1000", "fwmark", "0x77", "lookup", "77")
		}}, hostA, web, chain("inet route output -150", "meta mark set 0x77"))...)
	all = append(all, behind(fault{code: diagnose.OutputFirewall, side: "A", at: "A1", mends: true}, hostA, web,
		chain("inet filter output 0", "drop"), chain("ip filter output -300", "drop"), chain("inet filter postrouting 10", "drop"),
		chain("inet filter output 0", "reject with tcp reset"), chain("inet filter output -10", "reject"),
		chain("ip nat output -100", "drop"), chain("ip route output -150", "drop"),
		jump("inet filter output 0", "drop"), policy("inet filter output 0"), policy("inet filter postrouting 0"),
		atDevice("netdev egress wg0", "drop"), ipsec("out"),
		iptables("filter OUTPUT DROP"), iptables("raw OUTPUT DROP"), iptables("mangle OUTPUT DROP"), iptables("mangle POSTROUTING DROP"),
		iptables("filter OUTPUT REJECT"), iptables("filter OUTPUT REJECT", "--reject-with", "tcp-reset"))...)
	// The reply does not get from the tunnel to the application: A6.
	all = append(all, behind(fault{code: diagnose.InputFirewall, side: "A", at: "A6", mends: true}, hostA,
		these(packets{proto: "tcp", sport: 80, iif: "wg0"}),
		chain("inet filter input 0", "drop"), chain("ip filter prerouting -300", "drop"), chain("inet filter prerouting -150", "drop"),
		chain("inet filter input 10", "reject with tcp reset"), jump("inet filter input 0", "drop"),
		policy("inet filter input 0"), atDevice("inet ingress wg0", "drop"),
		iptables("filter INPUT DROP"), iptables("raw PREROUTING DROP"), iptables("mangle INPUT DROP"), iptables("filter INPUT REJECT"),
		ipsec("in"))...)
	return append(all,
		fault{code: diagnose.ReversePathFilter, how: "strict, mark leads into the tunnel", side: "A", at: "A6", only: 4, mends: true,
			twin: func(s *site) { s.A.Sysctl("net.ipv4.conf.wg0.rp_filter", "1") },
			inject: func(s *site) {
				s.A.RunInput("table ip t {\n chain c {\n type route hook output priority -150\n tcp dport 80 meta mark set 0x51\n }\n"+
					" chain n {\n type nat hook postrouting priority srcnat\n oifname wg0 masquerade\n }\n}\n", "nft", "-f", "-")
				ipA(s, "route", "add", "default", "dev", "wg0", "table", "77")
				ipA(s, "rule", "add", "pref", "1000", "fwmark", "0x51", "lookup", "77")
				ipA(s, "route", "del", s.HLan().String())
			}},
	)
}

// faultsBehindTunnel are those of H on the way from the tunnel to the
// destination, and of the destination: B4 to B6.
func faultsBehindTunnel() []fault {
	return slices.Concat(faultsOfForwarding(), faultsBeyondH(), faultsOfFirewallH())
}

// masquerade hides the tunnel's addresses from B.
func masquerade(s *site) {
	s.H.RunInput("table inet nat {\n chain c {\n type nat hook postrouting priority srcnat\n"+
		" oifname lan masquerade\n }\n}\n", "nft", "-f", "-")
}

// faultsOfForwarding are those of H's AllowedIPs and of its routing.
func faultsOfForwarding() []fault {
	notAllowed := func(s *site) {
		s.ConfH.Replace(s.T, "AllowedIPs = 10.0.0.1/32, fd0a::1/128", "AllowedIPs = 10.0.0.7/32, fd0a::7/128")
	}
	return []fault{
		{code: diagnose.DisallowedSource, how: "in the file", side: "B", at: "B4", conf: notAllowed},
		{code: diagnose.DisallowedSource, how: "changed", side: "B", at: "B4", mends: true,
			inject: func(s *site) {
				s.H.Run("wg", "set", "wg0", "peer", s.Alice.Public, "allowed-ips", map[bool]string{false: "10.0.0.16/28", true: "fd0a::16/124"}[s.V6])
			}},
		{code: diagnose.DisallowedSource, how: "translated on the way back", side: "A", at: "A6", inject: rewriteSource},
		{code: diagnose.NoReply, how: "source disallowed there", side: "A", conf: notAllowed},

		{code: diagnose.ForwardingDisabled, how: "off for the host", side: "B", at: "B5", mends: true, inject: func(s *site) {
			if s.V6 {
				s.H.Sysctl("net.ipv6.conf.all.forwarding", "0")
			} else {
				s.H.Sysctl("net.ipv4.ip_forward", "0")
			}
		}},
		{code: diagnose.ForwardingDisabled, how: "off for the tunnel", side: "B", at: "B5", mends: true, only: 4,
			twin:   func(s *site) { s.H.Sysctl("net.ipv4.conf.wan.forwarding", "0") },
			inject: func(s *site) { s.H.Sysctl("net.ipv4.conf.wg0.forwarding", "0") }},

		{code: diagnose.ForwardingDisabled, how: "off for the way back", side: "B", at: "B7", mends: true, only: 4,
			inject: func(s *site) { s.H.Sysctl("net.ipv4.conf.lan.forwarding", "0") }},

		{code: diagnose.NoRouteOnward, how: "no route", side: "B", at: "B5", inject: func(s *site) { ipH(s, "route", "del", s.HLan().String()) }},
		{code: diagnose.NoRouteOnward, how: "blackhole route", side: "B", at: "B5", says: "blackhole", mends: true,
			twin:   func(s *site) { ipH(s, "route", "add", "blackhole", addressB(s), "table", "77") },
			inject: func(s *site) { ipH(s, "route", "add", "blackhole", addressB(s)) }},
		{code: diagnose.NoRouteOnward, how: "unreachable route", side: "B", at: "B5", mends: true,
			inject: func(s *site) { ipH(s, "route", "add", "unreachable", addressB(s)) }},
		{code: diagnose.NoRouteOnward, how: "prohibit rule for the tunnel", side: "B", at: "B5", says: "prohibit", mends: true,
			twin:   func(s *site) { ipH(s, "rule", "add", "pref", "1000", "iif", "wan", "prohibit") },
			inject: func(s *site) { ipH(s, "rule", "add", "pref", "1000", "iif", "wg0", "prohibit") }},
		{code: diagnose.NoRouteOnward, how: "table without the way", side: "B", at: "B5", says: "lookup 77", mends: true,
			inject: func(s *site) {
				ipH(s, "route", "add", "blackhole", "default", "table", "77")
				ipH(s, "rule", "add", "pref", "1000", "iif", "wg0", "lookup", "77")
			}},
		{code: diagnose.NoRouteOnward, how: "no route", side: "A", at: "B5", inject: func(s *site) { ipH(s, "route", "del", s.HLan().String()) }},

		{code: diagnose.TTLExceeded, how: "routers in circles", side: "A", at: "B5", says: "circles", conf: func(s *site) {
			s.B.Sysctl("net.ipv4.ip_forward", "1")
			s.B.Sysctl("net.ipv6.conf.all.forwarding", "1")
			s.B.Run("ip", s.Flag(), "route", "add", nobodyInLAN(s), "via", s.IP(s.Addr.HLan))
			ipH(s, "route", "add", nobodyInLAN(s), "via", addressB(s), "dev", "lan")
		}, ask: func(s *site) *diagnose.Report { return s.Explain(net.JoinHostPort(nobodyInLAN(s), "80")) }},
		{code: diagnose.TTLExceeded, how: "a rule sets the TTL", side: "A", at: "B5", says: "circles",
			twin:   func(s *site) { setTTL(s, "64") },
			inject: func(s *site) { setTTL(s, "1") }},

		{code: diagnose.ReversePathFilter, how: "strict, source routed elsewhere", side: "B", at: "B5", only: 4, mends: true,
			twin: func(s *site) { s.H.Sysctl("net.ipv4.conf.wg0.rp_filter", "1") },
			inject: func(s *site) {
				ipH(s, "route", "add", s.Inner(1), "dev", "lan")
			}},
		{code: diagnose.ReversePathFilter, how: "strict by a rule", side: "B", at: "B5", only: 4, mends: true,
			twin: func(s *site) { s.H.Sysctl("net.ipv4.conf.all.rp_filter", "1") },
			inject: func(s *site) {
				ipH(s, "route", "add", "default", "via", addressB(s), "table", "77")
				ipH(s, "rule", "add", "pref", "1000", "to", s.Inner(1), "lookup", "77")
			}},
	}
}

// nobodyInLAN is an address of the LAN that no host has.
func nobodyInLAN(s *site) string {
	return map[bool]string{false: "192.168.200.77", true: "fd00:200::77"}[s.V6]
}

// setTTL has H give packets from the tunnel a TTL before it forwards them.
func setTTL(s *site, ttl string) {
	field := map[bool]string{false: "ip ttl", true: "ip6 hoplimit"}[s.V6]
	s.H.RunInput("table inet fault {\n chain c {\n  type filter hook prerouting priority -150\n"+
		"  iifname wg0 tcp dport 80 "+field+" set "+ttl+"\n }\n}\n", "nft", "-f", "-")
}

// faultsBeyondH are those of B, and of the link to it.
func faultsBeyondH() []fault {
	// noWayBack leaves B without a route to the tunnel's addresses.
	noWayBack := func(s *site) { s.B.Run("ip", s.Flag(), "route", "del", "default") }
	return []fault{
		{code: diagnose.SNATMissing, how: "no default route there", side: "B", at: "B6", want: diagnose.NoReplyFromDestination,
			first: diagnose.SNATMissing,
			twin: func(s *site) {
				s.B.Run("ip", s.Flag(), "route", "add", s.Inner(1), "via", s.IP(s.Addr.HLan))
				noWayBack(s)
			},
			inject: func(s *site) { s.B.Run("ip", s.Flag(), "route", "del", s.Inner(1)) }},
		{code: diagnose.SNATMissing, how: "another gateway there", side: "B", at: "B6", want: diagnose.NoReplyFromDestination,
			first: diagnose.SNATMissing,
			twin:  masquerade,
			inject: func(s *site) {
				spareLink(s.B)
				s.B.Run("ip", s.Flag(), "route", "replace", "default", "dev", "spare")
				s.H.Run("nft", "delete", "table", "inet", "nat")
				s.H.Run("conntrack", "-F")
			}},

		{code: diagnose.NeighborUnreachable, how: "nobody has the address", side: "B", at: "B6", conf: func(*site) {},
			ask: func(s *site) *diagnose.Report {
				return s.Overheard(net.JoinHostPort(nobodyInLAN(s), "80"))
			}},
		{code: diagnose.NeighborUnreachable, how: "B is down", side: "B", at: "B6", inject: func(s *site) {
			s.B.Run("ip", "link", "set", "eth0", "down")
			ipH(s, "neighbour", "flush", "all")
		}},
		{code: diagnose.NeighborUnreachable, how: "silent gateway", side: "B", at: "B6",
			twin: func(s *site) { ipH(s, "route", "add", addressB(s), "via", addressB(s), "dev", "lan", "onlink") },
			inject: func(s *site) {
				ipH(s, "route", "replace", addressB(s), "via", map[bool]string{false: "192.168.200.99", true: "fd00:200::99"}[s.V6], "dev", "lan")
			}},
		{code: diagnose.NeighborUnreachable, how: "B is down", side: "A", at: "B6", inject: func(s *site) {
			s.B.Run("ip", "link", "set", "eth0", "down")
			ipH(s, "neighbour", "flush", "all")
		}},
	}
}

// faultsOfFirewallH are those of the packet filters of H and B.
func faultsOfFirewallH() []fault {
	web := these(packets{proto: "tcp", dport: 80})
	fromTunnel := these(packets{proto: "tcp", dport: 80, iif: "wg0"})
	var all []fault
	// H's own port 8080 is B's web server, and sees who asks no more.
	translated := func(s *site) {
		masquerade(s)
		s.H.RunInput(fmt.Sprintf("table inet forwards {\n chain c {\n type nat hook prerouting priority dstnat\n"+
			" tcp dport 8080 dnat %s to %s\n }\n}\n",
			map[bool]string{false: "ip", true: "ip6"}[s.V6], s.Web()), "nft", "-f", "-")
	}
	forwardedPort := func(s *site) *diagnose.Report { return s.Overheard(net.JoinHostPort(s.Inner(2), "8080")) }
	all = append(all, behind(fault{code: diagnose.ForwardFirewall, how: "port forward", side: "B", at: "B5",
		twin: translated, ask: forwardedPort, mends: true}, hostH, fromTunnel,
		chain("inet filter forward 0", "drop"))...)
	all = append(all, behind(fault{code: diagnose.NoReplyFromDestination, how: "port forward", side: "B", at: "B6",
		twin: translated, ask: forwardedPort, says: "source"}, hostB, web,
		chain("inet filter input 0", "drop"))...)
	all = append(all, behind(fault{code: diagnose.ReturnFirewall, how: "port forward", side: "B", at: "B7", twin: translated,
		ask: forwardedPort, mends: true}, hostH, these(packets{proto: "tcp", sport: 80, iif: "lan"}),
		chain("inet filter forward 0", "drop"), iptables("raw PREROUTING DROP"))...)
	for _, on := range []fault{
		{code: diagnose.ForwardFirewall, side: "B", at: "B5", mends: true},
	} {
		all = append(all, behind(on, hostH, fromTunnel,
			chain("inet filter forward 0", "drop"), chain("ip filter prerouting -300", "drop"), chain("inet filter forward -10", "reject"),
			jump("inet filter forward 0", "drop"), policy("inet filter forward 0"), chain("ip nat prerouting -100", "drop"),
			atDevice("netdev ingress wg0", "drop"),
			iptables("filter FORWARD DROP"), iptables("raw PREROUTING DROP"), iptables("mangle FORWARD DROP"),
			iptables("filter FORWARD REJECT"), ipsec("fwd"), ipsec("out"), verdictMap("inet filter forward 0"))...)
		all = append(all, behind(on, hostH, these(packets{proto: "tcp", dport: 80, oif: "lan"}),
			chain("inet filter postrouting 0", "drop"), iptables("mangle POSTROUTING DROP"),
			chain("ip nat postrouting 100", "drop"), atDevice("netdev egress lan", "drop"))...)
	}
	all = append(all, behind(fault{code: diagnose.ForwardFirewall, how: "bridge", side: "B", at: "B5", mends: true,
		setup: bridged(hostH, "lan")}, hostH, web,
		ofBridge("postrouting"))...)
	all = append(all, behind(fault{code: diagnose.ForwardFirewall, how: "rejected", side: "A", at: "B5"}, hostH, fromTunnel,
		chain("inet filter forward 0", "reject with icmpx admin-prohibited"), chain("inet filter forward 5", "reject"))...)
	all = append(all, behind(fault{code: diagnose.NoReply, how: "on H", side: "A"}, hostH, fromTunnel,
		chain("inet filter forward 0", "drop"))...)
	all = append(all, behind(fault{code: diagnose.NoReply, how: "on B", side: "A"}, hostB, web, iptables("filter INPUT DROP"))...)
	all = append(all, behind(fault{code: diagnose.NoReplyFromDestination, how: "on B", side: "B", at: "B6"}, hostB, web,
		chain("inet filter input 0", "drop"))...)
	return append(all, behind(fault{code: diagnose.NoReplyFromDestination, how: "on B, translated", side: "B", at: "B6",
		first: diagnose.NoReplyFromDestination, twin: masquerade},
		hostB, web, iptables("filter INPUT DROP"))...)
}

// faultsOnReturn are those of the answer on H, on its way into the tunnel: B7; and
// those of a service on H itself.
func faultsOnReturn() []fault {
	onH := func(s *site) { s.H.ServeHTTP("[::]:8080", "hello") }
	askH := func(s *site) *diagnose.Report { return s.Overheard(net.JoinHostPort(s.Inner(2), "8080")) }
	all := []fault{
		{code: diagnose.ReturnRouteWrong, how: "more specific route", side: "B", at: "B7", mends: true,
			twin:   func(s *site) { ipH(s, "route", "add", s.Inner(1), "dev", "lan", "table", "77") },
			inject: func(s *site) { ipH(s, "route", "add", s.Inner(1), "dev", "lan") }},
		{code: diagnose.ReturnRouteWrong, how: "rule and table", side: "B", at: "B7", says: "lookup 77", mends: true,
			twin: func(s *site) {
				ipH(s, "route", "add", "default", "via", addressB(s), "table", "77")
				ipH(s, "rule", "add", "pref", "40000", "to", s.Inner(1), "lookup", "77")
			},
			inject: func(s *site) { ipH(s, "rule", "add", "pref", "1000", "to", s.Inner(1), "lookup", "77") }},
		{code: diagnose.ReturnRouteWrong, how: "blackhole route", side: "B", at: "B7", says: "blackhole", mends: true,
			inject: func(s *site) { ipH(s, "route", "add", "blackhole", s.Inner(1)) }},
		{code: diagnose.ReturnRouteWrong, how: "address gone, and its routes", side: "B", at: "B7",
			says: "ip address add 10.0.0.2/24", mends: true, only: 4,
			inject: func(s *site) { s.H.Run("ip", "address", "del", "10.0.0.2/24", "dev", "wg0") }},
		{code: diagnose.ReturnRouteWrong, how: "of a service on H", side: "B", at: "B7", setup: onH, ask: askH, mends: true,
			inject: func(s *site) { ipH(s, "route", "add", s.Inner(1), "dev", "lan") }},
		{code: diagnose.ReturnRouteWrong, how: "of a service on H, prohibited", side: "B", at: "B7", setup: onH, ask: askH, mends: true,
			inject: func(s *site) { ipH(s, "rule", "add", "pref", "1000", "to", s.Inner(1), "prohibit") }},
	}
	fromB := these(packets{proto: "tcp", sport: 80})
	all = append(all, behind(fault{code: diagnose.ReturnFirewall, side: "B", at: "B7", mends: true}, hostH, fromB,
		chain("inet filter forward 0", "drop"), chain("ip filter prerouting -300", "drop"), chain("inet filter postrouting 0", "drop"),
		chain("inet filter forward 5", "reject"), policy("inet filter forward 0"), atDevice("inet ingress lan", "drop"),
		atDevice("netdev egress wg0", "drop"),
		iptables("filter FORWARD DROP"), iptables("raw PREROUTING DROP"), iptables("mangle POSTROUTING DROP"),
		ipsec("fwd"), encrypted("fwd"))...)
	all = append(all, behind(fault{code: diagnose.ReturnFirewall, how: "bridge", side: "B", at: "B7", mends: true,
		setup: bridged(hostH, "lan")}, hostH, fromB,
		ofBridge("prerouting"))...)
	all = append(all, behind(fault{code: diagnose.ReturnFirewall, how: "of a service on H", side: "B", at: "B7", setup: onH,
		ask: askH, mends: true}, hostH,
		these(packets{proto: "tcp", sport: 8080}), chain("inet filter output 0", "drop"), iptables("raw OUTPUT DROP"))...)
	return append(all, behind(fault{code: diagnose.InputFirewall, how: "of a service on H", side: "B", at: "B7", setup: onH,
		ask: askH, mends: true}, hostH,
		these(packets{proto: "tcp", dport: 8080}), chain("inet filter input 0", "drop"),
		chain("ip filter prerouting -300", "drop"), iptables("filter INPUT REJECT"),
		ipsec("in"))...)
}
