//go:build linux

package faults

import (
	"net"
	"os"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// faultsOfEndpoint are those that keep the encrypted packets on A: A2.
func faultsOfEndpoint() []fault {
	return []fault{
		{code: diagnose.NoPrivateKey, how: "none configured", side: "A", at: "A2", says: "wgnode genkey",
			conf: func(s *site) { s.ConfA.Replace(s.T, "PrivateKey", "#PrivateKey") }},
		{code: diagnose.NoPrivateKey, how: "taken away by a hook", side: "A", at: "A2",
			conf: func(s *site) {
				s.ConfA.Replace(s.T, "ListenPort", "PostUp = wg set wg0 private-key /dev/null\nListenPort")
			}},
		{code: diagnose.NoEndpoint, how: "none configured", side: "A", at: "A2",
			conf: func(s *site) { s.ConfA.Replace(s.T, "Endpoint", "#Endpoint") }},
		{code: diagnose.NoEndpoint, how: "added without one", side: "A", at: "A2", inject: func(s *site) {
			s.A.Run("wg", "set", "wg0", "peer", s.Gateway.Public, "remove")
			s.A.Run("wg", "set", "wg0", "peer", s.Gateway.Public, "allowed-ips", s.HLan().String())
		}},
		{code: diagnose.NoEndpoint, how: "the called side calls first", side: "B", quiet: true, at: "A2",
			// Once called it has learned where.
			twin: func(s *site) { s.A.Ping(s.Inner(2)) },
			conf: func(*site) {},
			ask:  func(s *site) *diagnose.Report { return s.ExplainOn(s.H, s.Inner(1)) }},

		{code: diagnose.EndpointUnresolved, how: "no such name", side: "A", at: "A2", says: "nowhere.invalid",
			twin: func(*site) {},
			setup: func(s *site) {
				s.A.WriteFile("/etc/hosts", s.IP(s.Addr.HWan)+" gate.example\n", 0o644)
				s.ConfA.Replace(s.T, net.JoinHostPort(s.IP(s.Addr.HWan), "51820"), "gate.example:51820")
			},
			conf: func(s *site) { s.ConfA.Replace(s.T, "gate.example", "nowhere.invalid") }},
		{code: diagnose.EndpointUnresolved, how: "no name server", side: "A", at: "A2", says: "gate.example", conf: func(s *site) {
			s.A.WriteFile("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", 0o644)
			s.ConfA.Replace(s.T, net.JoinHostPort(s.IP(s.Addr.HWan), "51820"), "gate.example:51820")
		}},

		{code: diagnose.EndpointNotRouted, how: "no default route", side: "A", at: "A2", fresh: true,
			inject: func(s *site) { s.A.Run("ip", s.Flag(), "route", "del", "default") }},
		{code: diagnose.EndpointNotRouted, how: "blackhole route", side: "A", at: "A2", says: "blackhole", mends: true,
			twin: func(s *site) {
				s.A.Run("ip", s.Flag(), "route", "add", "blackhole", s.HWan().Masked().String(), "metric", "9999", "table", "77")
			},
			inject: func(s *site) { s.A.Run("ip", s.Flag(), "route", "add", "blackhole", s.HWan().Masked().String()) }},
		{code: diagnose.EndpointNotRouted, how: "unreachable rule", side: "A", at: "A2", fresh: true, mends: true,
			twin: func(s *site) {
				s.A.Run("ip", s.Flag(), "rule", "add", "pref", "32767", "to", s.IP(s.Addr.HWan), "unreachable")
			},
			inject: func(s *site) {
				s.A.Run("ip", s.Flag(), "rule", "add", "pref", "1000", "to", s.IP(s.Addr.HWan), "unreachable")
			}},
		{code: diagnose.EndpointNotRouted, how: "prohibit rule for the mark", side: "A", at: "A2", says: "0x2a", fresh: true, mends: true,
			setup:  func(s *site) { s.ConfA.Replace(s.T, "ListenPort", "FwMark = 0x2a\nListenPort") },
			twin:   func(s *site) { s.A.Run("ip", s.Flag(), "rule", "add", "pref", "1000", "fwmark", "0x2b", "prohibit") },
			inject: func(s *site) { s.A.Run("ip", s.Flag(), "rule", "add", "pref", "1000", "fwmark", "0x2a", "prohibit") }},

		{code: diagnose.EndpointInTunnel, how: "endpoint in AllowedIPs", side: "A", at: "A2", mends: true,
			setup: func(s *site) {
				s.ConfA.Replace(s.T, "AllowedIPs = ", "AllowedIPs = "+s.HWan().Masked().String()+", ")
			},
			twin: func(s *site) { s.A.Run("ip", s.Flag(), "route", "add", s.IP(s.Addr.HWan), "via", s.IP(s.Addr.RLan)) },
			conf: func(*site) {}},
		{code: diagnose.EndpointInTunnel, how: "route", side: "A", at: "A2", fresh: false, mends: true,
			twin: func(s *site) {
				s.A.Run("ip", s.Flag(), "route", "add", s.IP(s.Addr.HWan), "dev", "wg0", "table", "77")
			},
			inject: func(s *site) {
				s.A.Run("ip", s.Flag(), "route", "add", s.IP(s.Addr.HWan), "dev", "wg0")
				s.unreached(s.Web())
			}},
		{code: diagnose.EndpointInTunnel, how: "rule and table", side: "A", at: "A2",
			inject: func(s *site) {
				s.A.Run("ip", s.Flag(), "route", "add", "default", "dev", "wg0", "table", "77")
				s.A.Run("ip", s.Flag(), "rule", "add", "pref", "1000", "to", s.IP(s.Addr.HWan), "lookup", "77")
				s.unreached(s.Web())
			}, says: "lookup 77"},
	}
}

// faultsOfFirewallToPeer are those of the packet filters that meet the encrypted packets
// on their way out.
func faultsOfFirewallToPeer() []fault {
	toH := these(packets{proto: "udp", dport: 51820})
	var all []fault
	all = append(all, behind(fault{code: diagnose.UnderlayOutputFirewall, side: "A", at: "A2", fresh: true, mends: true}, hostA, toH,
		chain("inet filter output 0", "drop"), chain("ip filter output -300", "drop"), chain("inet filter postrouting 50", "drop"),
		chain("inet filter output 10", "reject"), jump("inet filter output 5", "drop"), policy("inet filter output 0"),
		atDevice("netdev egress eth0", "drop"), ipsec("out"),
		iptables("filter OUTPUT DROP"), iptables("raw OUTPUT DROP"), iptables("mangle POSTROUTING DROP"), iptables("filter OUTPUT REJECT"))...)
	all = append(all, behind(fault{code: diagnose.UnderlayOutputFirewall, how: "session stands", side: "A", mends: true}, hostA, toH,
		chain("inet filter output 0", "drop"), chain("inet filter postrouting 0", "drop"))...)
	all = append(all, behind(fault{code: diagnose.UnderlayOutputFirewall, how: "answers", side: "B", at: "B2", fresh: true,
		mends: true}, hostH,
		these(packets{proto: "udp", sport: 51820}), chain("inet filter output 0", "drop"), iptables("mangle OUTPUT DROP"))...)
	all = append(all, behind(fault{code: diagnose.UnderlayOutputFirewall, how: "bridge", side: "A", at: "A2", fresh: true,
		mends: true, setup: bridged(hostA, "eth0")}, hostA, toH,
		ofBridge("output"), ofBridge("postrouting"))...)
	return append(all, behind(fault{code: diagnose.UnderlayOutputFirewall, how: "data only", side: "A", at: "A4",
		fresh: true, mends: true}, hostA,
		these(packets{proto: "udp", dport: 51820, more: "udp length != 156"}), chain("inet filter output 0", "drop"))...)
}

// faultsOnPath are those between the hosts: A3.
func faultsOnPath() []fault {
	toH, fromH := these(packets{proto: "udp", dport: 51820}), these(packets{proto: "udp", sport: 51820})
	all := []fault{
		{code: diagnose.EndpointPortClosed, how: "no node there", side: "A", at: "A3",
			inject: func(s *site) { s.H.Run(s.Wgnode, "down", "wg0") }, fresh: true},
		{code: diagnose.EndpointPortClosed, how: "node gone, session stands", side: "A", at: "A3",
			inject: func(s *site) { s.H.Run(s.Wgnode, "down", "wg0") }},
		{code: diagnose.EndpointPortClosed, how: "another port", side: "A", at: "A3", says: "51833",
			conf: func(s *site) { s.ConfA.Replace(s.T, ":51820", ":51833") }},
		{code: diagnose.EndpointUnreachable, how: "unreachable route", side: "A", at: "A3", fresh: true,
			twin: func(s *site) {
				s.R.Run("ip", s.Flag(), "route", "add", "unreachable", s.IP(s.Addr.HWan), "table", "77")
			},
			inject: func(s *site) { s.R.Run("ip", s.Flag(), "route", "add", "unreachable", s.IP(s.Addr.HWan)) }},
		{code: diagnose.EndpointUnreachable, how: "no route on the way", side: "A", at: "A3", fresh: true,
			inject: func(s *site) { s.R.Run("ip", s.Flag(), "route", "del", s.HWan().Masked().String()) }},
		{code: diagnose.EndpointUnreachable, how: "next hop silent", side: "A", at: "A3", fresh: true, says: "link",
			inject: func(s *site) {
				s.R.Run("ip", "link", "set", "lan", "down")
				s.A.Run("ip", s.Flag(), "neighbour", "flush", "all")
			}},
		{code: diagnose.EndpointProhibited, how: "prohibit route", side: "A", at: "A3", fresh: true,
			inject: func(s *site) { s.R.Run("ip", s.Flag(), "route", "add", "prohibit", s.IP(s.Addr.HWan)) }},
	}
	all = append(all, faultsOfMapping()...)
	all = append(all, behind(fault{code: diagnose.EndpointPortClosed, side: "A", at: "A3", fresh: true}, hostH, toH,
		chain("inet filter input 0", "reject"), iptables("filter INPUT REJECT"))...)
	all = append(all, behind(fault{code: diagnose.EndpointProhibited, side: "A", at: "A3", fresh: true}, hostR, toH,
		chain("inet filter forward 0", "reject with icmpx admin-prohibited"))...)
	all = append(all, behind(fault{code: diagnose.NoResponse, how: "on the way", side: "A", at: "A3", fresh: true}, hostR, toH,
		chain("inet filter forward 0", "drop"))...)
	all = append(all, behind(fault{code: diagnose.NoResponse, how: "on the way back", side: "A", at: "A3"}, hostR, fromH,
		iptables("mangle FORWARD DROP"))...)
	all = append(all, behind(fault{code: diagnose.NoResponse, how: "at the far host", side: "A", at: "A3", fresh: true}, hostH, toH,
		chain("ip filter prerouting -300", "drop"))...)
	all = append(all, behind(fault{code: diagnose.UnderlayInputFirewall, side: "A", at: "A3", fresh: true, mends: true}, hostA, fromH,
		chain("inet filter input 0", "drop"), chain("ip filter prerouting -300", "drop"), chain("inet filter input -150", "reject"),
		jump("inet filter prerouting -150", "drop"), policy("inet filter input 0"), atDevice("netdev ingress eth0", "drop"),
		atDevice("inet ingress eth0", "drop"),
		iptables("filter INPUT DROP"), iptables("raw PREROUTING DROP"), iptables("mangle INPUT DROP"),
		ipsec("in"), encrypted("in"), verdictMap("inet filter input 0"))...)
	// Of IPv6 the default refuses neighbor solicitations, too, so that the counts differ.
	all = append(all, fault{code: diagnose.UnderlayInputFirewall, how: "IPsec default, in, block", side: "A", at: "A3", only: 4, fresh: true,
		mends: true, says: "the default for dir in is to block",
		inject: func(s *site) { s.A.Run("ip", "xfrm", "policy", "setdefault", "in", "block") },
		twin:   func(s *site) { s.A.Run("ip", "xfrm", "policy", "setdefault", "fwd", "block") }})
	all = append(all, behind(fault{code: diagnose.UnderlayInputFirewall, how: "bridge", side: "A", at: "A3", fresh: true,
		mends: true, setup: bridged(hostA, "eth0")}, hostA, fromH,
		ofBridge("prerouting"), ofBridge("input"))...)
	all = append(all, behind(fault{code: diagnose.UnderlayInputFirewall, how: "session stands", side: "A", mends: true}, hostA, fromH,
		chain("inet filter input 0", "drop"))...)
	all = append(all, behind(fault{code: diagnose.UnderlayInputFirewall, how: "data only", side: "A", at: "A5", fresh: true,
		mends: true}, hostA,
		these(packets{proto: "udp", sport: 51820, more: "udp length != 100"}), chain("inet filter input 0", "drop"))...)
	return append(all, behind(fault{code: diagnose.UnderlayInputFirewall, side: "B", at: "B2", fresh: true, mends: true}, hostH, toH,
		chain("inet filter input 0", "drop"), iptables("raw PREROUTING DROP"), policy("inet filter input 0"),
		atDevice("netdev ingress wan", "drop"), ipsec("in"))...)
}

// faultsOfHandshake are those of keys and of the answers to handshakes.
func faultsOfHandshake() []fault {
	// psk gives a side a preshared key.
	psk := func(c *sitetest.Conf, s *site, key string) {
		c.Replace(s.T, "AllowedIPs", "PresharedKey = "+key+"\nAllowedIPs")
	}
	newPSK := func(c *sitetest.Conf, s *site) { psk(c, s, lab.NewKey(s.T).Private) }
	both := func(s *site) {
		same := lab.NewKey(s.T).Private
		psk(s.ConfA, s, same)
		psk(s.ConfH, s, same)
	}
	all := []fault{
		{code: diagnose.NoResponse, how: "not a peer there", side: "A", at: "A3", conf: (*site).Stranger},
		{code: diagnose.NoResponse, how: "the endpoint is A itself", side: "A", at: "A3", says: "is an address of this host itself",
			conf: func(s *site) {
				s.ConfA.Replace(s.T, net.JoinHostPort(s.IP(s.Addr.HWan), "51820"), net.JoinHostPort(s.IP(s.Addr.A), "51821"))
			}},
		{code: diagnose.NoResponse, how: "another key here", side: "A", at: "A3", says: "another private key than the configuration",
			inject: func(s *site) {
				s.A.RunInput(lab.NewKey(s.T).Private, "wg", "set", "wg0", "private-key", "/dev/stdin")
			}},
		{code: diagnose.NoResponse, how: "another peer has taken the prefix", side: "A", at: "A3", says: "wgnode reload wg0",
			inject: func(s *site) {
				s.A.Run("wg", "set", "wg0", "peer", lab.NewKey(s.T).Public, "allowed-ips", s.HLan().String(), "endpoint",
					net.JoinHostPort(s.IP(s.Addr.HWan), "51820"))
			}},
		{code: diagnose.PSKMismatch, how: "on H alone", side: "A", at: "A3", conf: func(s *site) { newPSK(s.ConfH, s) }},
		{code: diagnose.PSKMismatch, how: "on A alone", side: "A", at: "A3", conf: func(s *site) { newPSK(s.ConfA, s) }},
		{code: diagnose.PSKMismatch, how: "another on H", side: "A", at: "A3", setup: both, fresh: true, inject: func(s *site) {
			s.H.RunInput(lab.NewKey(s.T).Private, "wg", "set", "wg0", "peer", s.Alice.Public, "preshared-key", "/dev/stdin")
		}},
		{code: diagnose.UnknownPeer, want: diagnose.Idle, how: "not in the file", side: "B", conf: (*site).Stranger, says: "with the key"},
		{code: diagnose.UnknownPeer, want: diagnose.Idle, how: "taken out", side: "B", fresh: true,
			inject: func(s *site) { s.H.Run("wg", "set", "wg0", "peer", s.Alice.Public, "remove") }},
		{code: diagnose.WrongPublicKey, want: diagnose.Idle, how: "in the file", side: "B",
			conf: func(s *site) { s.ConfA.Replace(s.T, s.Gateway.Public, lab.NewKey(s.T).Public) }},
		{code: diagnose.WrongPublicKey, want: diagnose.Idle, how: "new key on H", side: "B", fresh: true, inject: func(s *site) {
			s.H.RunInput(lab.NewKey(s.T).Private, "wg", "set", "wg0", "private-key", "/dev/stdin")
		}},
		{code: diagnose.ResponseNotAccepted, how: "preshared keys differ", side: "B", at: "B3", conf: func(s *site) { newPSK(s.ConfH, s) }},
	}
	return append(all, behind(fault{code: diagnose.ResponseNotAccepted, how: "the way back", side: "B", at: "B3", fresh: true}, hostR,
		these(packets{proto: "udp", sport: 51820}), chain("inet filter forward 0", "drop"), iptables("filter FORWARD DROP"))...)
}

// faultsOfAnswer are those of the way that answers to handshakes take, and of
// handshakes that are none.
func faultsOfAnswer() []fault {
	toR := func(s *site) string { return s.IP(s.Addr.RWan) }
	return []fault{
		// In IPv4 a socket answers out of the link that it was called by, if any
		// route leads there. So there must be none.
		{code: diagnose.ReplyLeavesElsewhere, how: "route", side: "B", at: "B2", fresh: true, says: "lan", setup: (*site).Untranslated,
			twin: func(s *site) {
				s.H.Run("ip", s.Flag(), "route", "add", s.IP(s.Addr.A), "via", s.IP(s.Addr.B), "table", "77")
			},
			inject: func(s *site) {
				s.H.Run("ip", s.Flag(), "route", "replace", s.LAN().String(), "via", s.IP(s.Addr.B))
			}},
		{code: diagnose.ReplyLeavesElsewhere, how: "rule and table", side: "B", at: "B2", fresh: true, says: "lookup 77",
			mends: true, setup: (*site).Untranslated, only: 6,
			inject: func(s *site) {
				s.H.Run("ip", s.Flag(), "route", "add", "default", "via", s.IP(s.Addr.B), "table", "77")
				s.H.Run("ip", s.Flag(), "rule", "add", "pref", "1000", "to", s.IP(s.Addr.A), "lookup", "77")
			}},
		{code: diagnose.ReplyLeavesElsewhere, how: "default route", side: "B", at: "B2", fresh: true, says: "lan", setup: (*site).Untranslated,
			inject: func(s *site) {
				s.H.Run("ip", s.Flag(), "route", "del", s.LAN().String())
				s.H.Run("ip", s.Flag(), "route", "add", "default", "via", s.IP(s.Addr.B))
			}},

		{code: diagnose.ReversePathFilter, how: "way to the endpoint by a mark", side: "A", at: "A3", fresh: true, only: 4, mends: true,
			setup: func(s *site) { s.ConfA.Replace(s.T, "ListenPort", "FwMark = 0x2a\nListenPort") },
			twin: func(s *site) {
				s.A.Sysctl("net.ipv4.conf.eth0.rp_filter", "1")
			},
			inject: func(s *site) {
				spareLink(s.A)
				s.A.Run("ip", "route", "add", "default", "via", s.IP(s.Addr.RLan), "table", "77")
				s.A.Run("ip", "rule", "add", "pref", "1000", "fwmark", "0x2a", "lookup", "77")
				s.A.Run("ip", "route", "replace", "default", "dev", "spare")
			}},
		{code: diagnose.ReversePathFilter, how: "strict, way back elsewhere", side: "B", at: "B2", fresh: true, only: 4, mends: true,
			twin: func(s *site) { s.H.Sysctl("net.ipv4.conf.all.rp_filter", "1") },
			inject: func(s *site) {
				s.H.Run("ip", "route", "add", toR(s), "via", s.IP(s.Addr.B), "dev", "lan")
			}},

		{code: diagnose.Idle, how: "nobody calls", side: "B", quiet: true,
			ask: func(s *site) *diagnose.Report { return s.ExplainOn(s.H, s.Web(), "--passive", "--timeout", "1s") }, conf: func(*site) {}},
		{code: diagnose.Idle, how: "somebody else calls", side: "B", conf: func(*site) {},
			ask: func(s *site) *diagnose.Report {
				return s.Overheard(s.Web(), "--timeout", "2s", "--from", s.Inner(9))
			}},
		{code: diagnose.HandshakeReplay, how: "recorded", side: "B", quiet: true, at: "B2", conf: func(*site) {},
			ask: func(s *site) *diagnose.Report { return replayed(s) }, only: 4},
		{code: diagnose.HandshakeReplay, how: "recorded, and asked from where", side: "B", quiet: true, at: "B2", conf: func(*site) {}, only: 4,
			ask: func(s *site) *diagnose.Report { return replayed(s, "--from", s.IP(s.Addr.RWan)) }},
	}
}

// replayed sends A's first initiation to H once more while H is asked, as if A's
// clock had gone back.
func replayed(s *site, more ...string) *diagnose.Report {
	s.T.Helper()
	lab.Need(s.T, "tcpdump")
	pcap := s.T.TempDir() + "/initiation.pcap"
	dump := s.R.Start("tcpdump", "-ni", "wan", "-U", "-c", "1", "-w", pcap, "udp", "dst", "port", "51820", "and", "udp[4:2]", "=", "156")
	dump.WaitOutput(s.T.Context(), "listening on")
	s.Want(s.Explain(s.Inner(2)), diagnose.Healthy, "")
	if err := dump.Wait(); err != nil {
		s.T.Fatal(err)
	}
	raw, err := os.ReadFile(pcap)
	if err != nil {
		s.T.Fatal(err)
	}
	c, err := s.R.Dial(s.T.Context(), "udp", net.JoinHostPort(s.IP(s.Addr.HWan), "51820"))
	if err != nil {
		s.T.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		if _, err := c.Write(raw[len(raw)-148:]); err != nil {
			s.T.Fatal(err)
		}
	}
	return s.ExplainOn(s.H, append([]string{s.Web(), "--passive"}, more...)...)
}

// spareLink gives a host a link that leads nowhere.
func spareLink(h *lab.Host) {
	h.Run("ip", "link", "add", "spare", "type", "veth", "peer", "name", "spare-end")
	h.Run("ip", "addr", "add", "10.66.0.1/24", "dev", "spare")
	h.Run("ip", "link", "set", "spare", "up")
	h.Run("ip", "link", "set", "spare-end", "up")
}
