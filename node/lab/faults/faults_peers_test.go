//go:build linux

package faults

import (
	"fmt"
	"net"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// faultsOfPeers are those of a hub that has an address in the wrong peer, asked about that
// address: the packets come from a peer that it does not belong to.
func faultsOfPeers() []fault {
	const own = "10.0.0.1/32, fd0a::1/128"
	// bob is one more peer of H, with those AllowedIPs.
	bob := func(s *site, allowed string) {
		s.ConfH.Text += fmt.Sprintf("[Peer]\n# Name = bob\nPublicKey = %s\nAllowedIPs = %s\n", lab.NewKey(s.T).Public, allowed)
	}
	ask := func(s *site) *diagnose.Report { return askedFrom(s, s.Inner(1), s.Web()) }
	foreign := func(s *site) {
		ipA(s, "address", "add", s.Inner(9), "dev", "wg0")
		s.A.Settle()
	}
	behindBob := func(s *site) string {
		return net.JoinHostPort(map[bool]string{false: "192.168.77.5", true: "fd00:77::5"}[s.V6], "80")
	}
	return []fault{
		{code: diagnose.DisallowedSource, how: "keys swapped", side: "B", at: "B4", says: "which belongs to bob here", mends: true, ask: ask,
			conf: func(s *site) {
				s.ConfH.Replace(s.T, own, "10.0.0.3/32, fd0a::3/128")
				bob(s, own)
			}},
		{code: diagnose.DisallowedSource, how: "AllowedIPs in two peers", side: "B", at: "B4", says: "which belongs to bob here", mends: true,
			ask: ask, setup: func(s *site) { bob(s, "10.0.0.3/32, fd0a::3/128") },
			twin: func(s *site) {
				s.H.Run("wg", "set", "wg0", "peer", s.Alice.Public, "allowed-ips", s.Inner(1)) // once more
			},
			conf: func(s *site) { s.ConfH.Replace(s.T, "10.0.0.3/32, fd0a::3/128", "10.0.0.3/32, fd0a::3/128, "+own) }},
		{code: diagnose.DisallowedSource, how: "a foreign address", side: "B", at: "B4", says: "not in its AllowedIPs here", mends: true,
			ask: func(s *site) *diagnose.Report { return askedFrom(s, s.Inner(9), s.Web()) },
			twin: func(s *site) {
				s.H.Run("wg", "set", "wg0", "peer", s.Alice.Public, "allowed-ips", s.Inner(1)+","+s.Inner(9))
				foreign(s)
			},
			inject: func(s *site) {
				s.H.Run("wg", "set", "wg0", "peer", s.Alice.Public, "allowed-ips", s.Inner(1))
				s.A.Settle()
			}},
		{code: diagnose.DisallowedSource, how: "a foreign address, to another peer", side: "B", at: "B4", says: "not in its AllowedIPs here",
			setup: func(s *site) {
				bob(s, "192.168.77.0/24, fd00:77::/64")
				s.ConfA.Replace(s.T, "10.0.0.2/32", "192.168.77.0/24, fd00:77::/64, 10.0.0.2/32")
			},
			conf: func(*site) {}, inject: foreign,
			ask: func(s *site) *diagnose.Report { return askedFrom(s, s.Inner(9), behindBob(s)) }},
	}
}

// askedFrom asks H about calls to a target, from an address of A's, while A makes them.
func askedFrom(s *site, source, target string) *diagnose.Report {
	calls := s.A.Start("sh", "-c", fmt.Sprintf("while :; do curl -s -o /dev/null -m 2 --interface %s http://%s; sleep 0.2; done",
		source, target))
	defer calls.Stop()
	return s.ExplainOn(s.H, target, "--passive", "--from", source)
}
