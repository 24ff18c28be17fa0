//go:build linux

package faults

import (
	"net"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// faultsOfHub are those of a hub that passes packets on to a spoke: what its own node does to
// them is not the spoke's word.
func faultsOfHub() []fault {
	spoke := func(s *site) string { return net.JoinHostPort(s.Inner(77), "80") }
	network := func(s *site) { s.ConfA.Replace(s.T, "10.0.0.2/32, fd0a::2/128", "10.0.0.0/24, fd0a::/64") }
	var all []fault
	for _, f := range []struct {
		code   diagnose.Code
		how    string
		conf   func(s *site)
		a, b   string // the checkpoint that A and H name
		saysOf string
	}{
		{code: diagnose.NoAllowedIPsMatch, how: "the hub knows no such spoke", a: "B5", b: "A1", saysOf: "in no peer's AllowedIPs",
			conf: func(*site) {}},
		{code: diagnose.NoEndpoint, how: "the hub knows a spoke and not where", a: "B5", b: "A2", saysOf: "no endpoint", conf: func(s *site) {
			s.ConfH.Text += "[Peer]\n# Name = spoke\nPublicKey = " + lab.NewKey(s.T).Public + "\nAllowedIPs = 10.0.0.77/32, fd0a::77/128\n"
		}},
		{code: diagnose.NoRouteOnward, how: "the hub takes the spoke for the sender", a: "B5", b: "B5", saysOf: "back to", conf: func(s *site) {
			s.ConfH.Replace(s.T, "10.0.0.1/32, fd0a::1/128", "10.0.0.1/32, fd0a::1/128, 10.0.0.77/32, fd0a::77/128")
		}},
	} {
		conf := func(s *site) { network(s); f.conf(s) }
		all = append(all,
			fault{code: f.code, how: f.how, side: "A", at: f.a, says: f.saysOf, conf: conf, web: spoke},
			fault{code: f.code, how: f.how, side: "B", at: f.b, says: f.saysOf, conf: conf, web: spoke})
	}
	all = append(all, fault{code: diagnose.ForwardingDisabled, how: "and the hub knows no such spoke", side: "B", at: "B5",
		says: "must be in the AllowedIPs of the peer that has it", conf: network,
		inject: func(s *site) {
			s.H.Sysctl("net.ipv4.ip_forward", "0")
			s.H.Sysctl("net.ipv6.conf.all.forwarding", "0")
		},
		web: spoke})
	return all
}
