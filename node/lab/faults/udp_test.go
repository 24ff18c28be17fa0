//go:build linux

package faults

import (
	"net"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// Over UDP an answer or a refusal decides, and silence may be the service's own.
func TestUDP(t *testing.T) {
	t.Parallel()
	for _, v6 := range []bool{false, true} {
		t.Run("udp"+familySuffix(v6), func(t *testing.T) {
			t.Parallel()
			testUDP(t, newSite(t, v6))
		})
	}
}

func testUDP(t *testing.T, s *site) {
	at := func(port string) string { return net.JoinHostPort(s.IP(s.Addr.B), port) }
	s.B.ServeDNS(at("53"), new(lab.Zone))
	answersTo(s, at("700"), "\x01hello")
	s.B.ListenPacket("udp", at("701"))
	s.UpBoth()
	s.Want(s.Explain(at("53")+"/udp"), diagnose.Healthy, at("53")+"/udp answers through gateway")
	s.Want(s.Explain(at("700")+"/udp", "--payload", "hex:0168656c6c6f"), diagnose.Healthy, "answers")
	s.Want(s.Explain(at("700")+"/udp"), diagnose.NoReply, "may be the service's silence")
	s.Want(s.Explain(at("80")+"/udp"), diagnose.ConnectionRefused, "port unreachable") // TCP listens there

	asks := s.A.Start(s.Wgnode, "explain", "wg0", at("701")+"/udp", "--timeout", "30s")
	r := s.ExplainOn(s.H, at("701")+"/udp", "--passive")
	s.Want(r, diagnose.NoReplyFromDestination, "")
	asks.Stop()

	for _, c := range []struct {
		name string
		host *lab.Host
		hook string
		rule string
		args []string
		want diagnose.Code
	}{
		{name: "output", host: s.A, hook: "output", rule: "udp dport 53", want: diagnose.OutputFirewall},
		{name: "reply", host: s.A, hook: "input", rule: "udp sport 53", want: diagnose.InputFirewall},
		{name: "forward", host: s.H, hook: "forward", rule: "udp dport 53", want: diagnose.ForwardFirewall},
		{name: "return", host: s.H, hook: "forward", rule: "udp sport 53", want: diagnose.ReturnFirewall},
	} {
		sitetest.NFT(c.host, c.hook, c.rule+` drop comment "culprit"`)
		if c.host == s.A {
			r = s.Explain(at("53") + "/udp")
		} else {
			asks := s.A.Start(s.Wgnode, "explain", "wg0", at("53")+"/udp", "--timeout", "30s")
			r = s.ExplainOn(s.H, at("53")+"/udp", "--passive")
			asks.Stop()
		}
		s.Want(r, c.want, "culprit")
		if !strings.HasSuffix(r.Target, ":53/udp") || !r.Verdict.Certain {
			t.Errorf("%s: %s, certain %v", c.name, r.Target, r.Verdict.Certain)
		}
		c.host.Run("nft", "delete", "table", "inet", "fault")
	}
	// The probe is known also when this host gives it another port.
	s.A.RunInput("table inet fault {\n chain c {\n type nat hook postrouting priority 100\n"+
		" meta l4proto udp oifname wg0 masquerade to :61000-61010\n }\n}\n", "nft", "-f", "-")
	s.Want(s.Explain(at("53")+"/udp"), diagnose.Healthy, "")
}

// answersTo has B answer datagrams that say one thing, and no others.
func answersTo(s *site, addr, question string) {
	c := s.B.ListenPacket("udp", addr)
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return // closed
			}
			if string(buf[:n]) == question {
				_, _ = c.WriteTo(buf[:n], from) // what is lost is asked for once more
			}
		}
	}()
}
