//go:build linux

package faults

import (
	"fmt"
	"net"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// hubOfThree makes H the hub of three spokes: A, bob (B) and carol (R), at .1, .3 and .4.
// Bob serves HTTP at his address in the tunnel.
func hubOfThree(s *site) {
	s.ConfA.Replace(s.T, "10.0.0.2/32, fd0a::2/128, ", "10.0.0.0/24, fd0a::/64, ")
	for _, spoke := range []struct {
		name     string
		host     *lab.Host
		n        int
		hub, own lab.Pair // outer addresses
	}{{"bob", s.B, 3, s.Addr.HLan, s.Addr.B}, {"carol", s.R, 4, s.Addr.HWan, s.Addr.RWan}} {
		k := lab.NewKey(s.T)
		s.ConfH.Text += fmt.Sprintf("[Peer]\n# Name = %s\nPublicKey = %s\nEndpoint = %s\nAllowedIPs = 10.0.0.%[4]d/32, fd0a::%[4]d/128\n",
			spoke.name, k.Public, net.JoinHostPort(s.IP(spoke.own), "51822"), spoke.n)
		s.Up(spoke.host, &sitetest.Conf{Text: fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = 10.0.0.%[2]d/24, fd0a::%[2]d/64\n"+
			"ListenPort = 51822\n[Peer]\n# Name = hub\nPublicKey = %[3]s\nEndpoint = %[4]s\nAllowedIPs = 10.0.0.0/24, fd0a::/64\n",
			k.Private, spoke.n, s.Gateway.Public, net.JoinHostPort(s.IP(spoke.hub), "51820"))})
	}
	s.B.ServeHTTP("[::]:8080", "hello")
}

// faultsOfSpokes are those of a hub that keeps its spokes apart. One pair of them may talk.
func faultsOfSpokes() []fault {
	bob := func(s *site) string { return net.JoinHostPort(s.Inner(3), "8080") }
	between := func(s *site, from, to int) string {
		family := map[bool]string{false: "ip", true: "ip6"}[s.V6]
		return fmt.Sprintf("iifname wg0 oifname wg0 %s saddr %s %s daddr %s ", family, s.Inner(from), family, s.Inner(to))
	}
	apart := func(end string) func(s *site) {
		return func(s *site) {
			s.H.Run("nft", "delete", "table", "inet", "fault")
			sitetest.NFT(s.H, "forward", between(s, 4, 3)+"accept comment "+harmless+"\n"+between(s, 3, 4)+"accept comment "+harmless+
				"\niifname wg0 oifname wg0 "+end+" comment "+culprit)
		}
	}
	one := fault{code: diagnose.ForwardFirewall, at: "B5", setup: hubOfThree, web: bob, twin: func(s *site) {
		sitetest.NFT(s.H, "forward", between(s, 4, 3)+"drop comment "+harmless)
	}}
	hub, told := one, one
	told.only = 6 // A hears of it as of every other rejection
	hub.how, hub.side, hub.says, hub.mends, hub.inject = "spokes are kept apart", "B", culprit, true, apart("drop")
	told.how, told.side, told.inject = "spokes are kept apart, and told so", "A", apart("reject with icmpx admin-prohibited")
	return []fault{hub, told}
}

// tunnelOutside has all of A's packets to others go through a second tunnel to H, wg1, so
// that wg0 is a tunnel in a tunnel.
func tunnelOutside(s *site) {
	carol, outer := lab.NewKey(s.T), lab.NewKey(s.T)
	for _, c := range []*sitetest.Conf{s.ConfA, s.ConfH} {
		c.Replace(s.T, "ListenPort", "MTU = 1320\nListenPort")
	}
	s.H.WriteFile("/etc/wireguard/wg1.conf", fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = 10.1.0.2/24, fd1a::2/64\n"+
		"ListenPort = 51830\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.1.0.1/32, fd1a::1/128\n", outer.Private, carol.Public), 0o600)
	s.A.WriteFile("/etc/wireguard/wg1.conf", fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = 10.1.0.1/24, fd1a::1/64\n"+
		"[Peer]\n# Name = outer\nPublicKey = %s\nEndpoint = %s\nAllowedIPs = 0.0.0.0/0, ::/0\n",
		carol.Private, outer.Public, net.JoinHostPort(s.IP(s.Addr.HWan), "51830")), 0o600)
	s.H.Run(s.Wgnode, "up", "wg1")
	s.A.Run(s.Wgnode, "up", "wg1")
}

// faultsOfTunnelInTunnel are those of the tunnel outside, which are seen from the one in it.
func faultsOfTunnelInTunnel() []fault {
	rule := func(h func(*site) *lab.Host, hook, inner string) (twin, inject func(*site)) {
		return func(s *site) { sitetest.NFT(h(s), hook, "udp dport 51833 "+inner+" drop comment "+harmless) },
			func(s *site) {
				h(s).Run("nft", "delete", "table", "inet", "fault")
				sitetest.NFT(h(s), hook, "udp dport 51820 "+inner+" drop comment "+culprit)
			}
	}
	out := fault{code: diagnose.UnderlayOutputFirewall, how: "into the tunnel outside", side: "A", says: culprit, setup: tunnelOutside,
		fresh: true, mends: true, only: 4}
	out.twin, out.inject = rule(hostA, "output", "oifname wg1")
	in := fault{code: diagnose.UnderlayInputFirewall, how: "out of the tunnel outside", side: "B", at: "B2", says: culprit,
		setup: tunnelOutside, fresh: true, mends: true}
	in.twin, in.inject = rule(hostH, "input", "iifname wg1")
	return []fault{out, in}
}
