//go:build linux

package faults

import (
	"strings"

	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// faultsOfTracking are those of replies that H's connection tracking does not know.
func faultsOfTracking() []fault {
	untracked := func(s *site) {
		s.H.RunInput("table inet untracked {\n chain c {\n type filter hook prerouting priority raw\n"+
			" iifname lan tcp sport 80 notrack comment culprit\n }\n}\n", "nft", "-f", "-")
	}
	legacy := func(s *site) {
		program := map[bool]string{false: "iptables", true: "ip6tables"}[s.V6]
		s.H.Run(program, "-t", "raw", "-A", "PREROUTING", "-i", "lan", "-p", "tcp", "--sport", "80",
			"-m", "comment", "--comment", culprit, "-j", "CT", "--notrack")
	}
	dropped := func(s *site) { sitetest.NFT(s.H, "forward", "tcp sport 80 ct state untracked drop comment culprit") }
	return []fault{
		{code: diagnose.ReturnFirewall, how: "of untracked replies", side: "B", at: "B7", says: "ct state untracked", mends: true,
			twin: untracked, inject: dropped},
		{code: diagnose.ReturnFirewall, how: "untracked replies are not translated back", side: "B", at: "B7", says: "notrack", mends: true,
			twin: masquerade, inject: untracked},
		{code: diagnose.ReturnFirewall, how: "untracked replies are not translated back, iptables", side: "B", at: "B7",
			says: "--notrack", mends: true, twin: masquerade, inject: legacy},
	}
}

// faultsOfProxy are those of a client whose address is of H's LAN, which H must answer for
// there.
func faultsOfProxy() []fault {
	// inLAN gives A an address of the LAN, in place of its own.
	inLAN := func(s *site) {
		for _, c := range []*sitetest.Conf{s.ConfA, s.ConfH} {
			c.Text = strings.NewReplacer("10.0.0.1/24, fd0a::1/64", "10.0.0.1/24, fd0a::1/64, 192.168.200.77/32, fd00:200::77/128",
				"10.0.0.1/32, fd0a::1/128", "10.0.0.1/32, fd0a::1/128, 192.168.200.77/32, fd00:200::77/128").Replace(c.Text)
		}
	}
	ask := func(s *site) *diagnose.Report { return askedFrom(s, nobodyInLAN(s), s.Web()) }
	ndp := func(s *site) { s.H.Sysctl("net.ipv6.conf.lan.proxy_ndp", "1") }
	listed := func(s *site) { ipH(s, "neigh", "add", "proxy", nobodyInLAN(s), "dev", "lan") }
	return []fault{
		{code: diagnose.ProxyARPMissing, how: "a client with an address of the LAN", side: "B", at: "B6", first: diagnose.ProxyARPMissing,
			says: "proxy", mends: true, conf: inLAN, ask: ask},
		{code: diagnose.ProxyARPMissing, how: "proxy_arp taken away", side: "B", at: "B6", first: diagnose.ProxyARPMissing, only: 4,
			says: "proxy_arp = 0", mends: true, setup: inLAN, ask: ask, twin: func(s *site) { s.H.Sysctl("net.ipv4.conf.lan.proxy_arp", "1") },
			inject: func(s *site) {
				s.H.Sysctl("net.ipv4.conf.lan.proxy_arp", "0")
				s.B.Run("ip", "neigh", "flush", "all")
			}},
		{code: diagnose.ProxyARPMissing, how: "not in the list of NDP", side: "B", at: "B6", first: diagnose.ProxyARPMissing, only: 6,
			says: "it is not there", mends: true, setup: inLAN, ask: ask,
			twin: func(s *site) {
				ndp(s)
				listed(s)
			},
			inject: func(s *site) {
				ipH(s, "neigh", "del", "proxy", nobodyInLAN(s), "dev", "lan")
				s.B.Run("ip", "-6", "neigh", "flush", "all")
			}},
	}
}
