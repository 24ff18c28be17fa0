//go:build linux

package faults

import (
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// faultsOfMapping are those of a peer that H knows by its packets alone, and whose NAT, R,
// has forgotten it. It was heard a moment ago, so that NAT is not the first to be thought of.
func faultsOfMapping() []fault {
	f := fault{how: "NAT has forgotten a mapping", side: "B", at: "A3", says: "or NAT in front of it",
		ask:  func(s *site) *diagnose.Report { return s.ExplainOn(s.H, s.Inner(1)) },
		twin: func(s *site) { s.A.Ping(s.Inner(2)) },
		inject: func(s *site) {
			sitetest.NFT(s.A, "output", "udp dport 51820 drop") // a keepalive of A's would open the way again
			s.R.Run("conntrack", "-F")
		}}
	closed, silent := f, f
	closed.code, closed.first = diagnose.EndpointPortClosed, diagnose.EndpointPortClosed
	silent.code, silent.first = diagnose.NoResponse, diagnose.NoResponse
	silent.inject = func(s *site) {
		sitetest.NFT(s.R, "input", "iifname wan meta l4proto udp drop")
		f.inject(s)
	}
	return []fault{closed, silent}
}

// faultsOfFile are those that A's file has mended, and that nobody has applied.
func faultsOfFile() []fault {
	const since = "has been changed since it was applied"
	write := func(s *site, from, to string) {
		s.ConfA.Replace(s.T, from, to)
		s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	}
	psk := func(s *site) string { return "PresharedKey = " + s.Alice.Public + "\nAllowedIPs" }
	return []fault{
		{code: diagnose.NoAllowedIPsMatch, how: "in the file, not applied", side: "A", at: "A1", says: since, mends: true,
			conf:   func(s *site) { s.ConfA.Replace(s.T, ", "+s.HLan().String(), "") },
			inject: func(s *site) { write(s, "fd0a::2/128", "fd0a::2/128, "+s.HLan().String()) }},
		{code: diagnose.EndpointPortClosed, how: "the port in the file is not applied", side: "A", at: "A3", says: since, mends: true,
			conf:   func(s *site) { s.ConfA.Replace(s.T, ":51820", ":51833") },
			inject: func(s *site) { write(s, ":51833", ":51820") }},
		{code: diagnose.PSKMismatch, how: "the key in the file is not applied", side: "A", at: "A3", says: since, mends: true,
			conf:   func(s *site) { s.ConfH.Replace(s.T, "AllowedIPs", psk(s)) },
			inject: func(s *site) { write(s, "AllowedIPs", psk(s)) }},
	}
}
