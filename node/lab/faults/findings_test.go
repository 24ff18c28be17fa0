//go:build linux

package faults

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// doctor runs wgnode doctor on a host.
func (s *site) doctor(h *lab.Host) *diagnose.DoctorReport {
	s.T.Helper()
	var r diagnose.DoctorReport
	status := s.Ask(h, &r, "doctor", "wg0")
	if want := map[bool]int{true: 0, false: 2}[r.Healthy()]; status != want {
		s.T.Errorf("exit status %d, healthy: %v", status, r.Healthy())
	}
	return &r
}

// wantFinding wants one finding and no other, with words that are said in it or
// in its cure.
func (s *site) wantFinding(found []diagnose.Finding, code diagnose.Code, says string) {
	s.T.Helper()
	if len(found) != 1 || found[0].Code != code {
		s.T.Fatalf("want %s alone, found %+v", code, found)
	}
	if text := found[0].Summary + "\n" + strings.Join(found[0].Fix.Lines(), "\n"); !strings.Contains(text, says) {
		s.T.Errorf("%q is not said in\n%s", says, text)
	}
}

// mtu is the largest MTU of the tunnel over Ethernet.
func (s *site) mtu() int {
	if s.V6 {
		return 1420
	}
	return 1440
}

func (s *site) allow(prefixes string) {
	s.ConfA.Text = regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllString(s.ConfA.Text, "AllowedIPs = "+prefixes)
}

// findingTests are what doctor and explain find, and what is much like it and no fault.
var findingTests = []struct {
	name  string
	fault func(s *site) // before both are up
	then  func(s *site) // and after that
	ask   func(s *site) []diagnose.Finding
	want  diagnose.Code // "": nothing
	says  func(s *site) string
}{
	{name: "tunnel in the LAN's network", then: func(s *site) {
		s.A.Run("ip", "addr", "add", s.Inner(77)+map[bool]string{false: "/24", true: "/64"}[s.V6], "dev", "eth0")
	}, want: diagnose.AddressConflict, says: func(*site) string { return "also that of eth0" }},
	{name: "an address of the tunnel on the LAN", then: func(s *site) {
		s.A.Run("ip", "addr", "add", s.Inner(77), "dev", "eth0")
	}},
	{name: "the peer has our address", fault: func(s *site) { s.allow("10.0.0.2, fd0a::2, " + s.Inner(1)) },
		want: diagnose.DuplicateAddress, says: func(s *site) string { return s.Inner(1) }},
	{name: "mtu", fault: func(s *site) {
		s.ConfA.Replace(s.T, "ListenPort", fmt.Sprintf("MTU = %d\nListenPort", s.mtu()+1))
	}, want: diagnose.MTUTooLarge, says: func(s *site) string { return fmt.Sprintf("MTU = %d", s.mtu()) }},
	{name: "mtu that fits", fault: func(s *site) {
		s.ConfA.Replace(s.T, "ListenPort", fmt.Sprintf("MTU = %d\nListenPort", s.mtu()))
	}},
	{name: "called behind NAT", then: called, want: diagnose.NoKeepalive, says: func(*site) string { return "PersistentKeepalive = 25" }},
	{name: "called behind NAT, with keepalives", fault: func(s *site) {
		s.ConfA.Replace(s.T, "AllowedIPs", "PersistentKeepalive = 25\nAllowedIPs")
	}, then: called},
	{name: "forwarding off", then: func(s *site) {
		s.H.Sysctl("net.ipv4.ip_forward", "0")
		s.H.Sysctl("net.ipv6.conf.all.forwarding", "0")
		if _, status, err := s.A.Try("ping", "-c1", "-W1", s.IP(s.Addr.B)); status == 0 || err != nil {
			s.T.Errorf("ping: status %d, %v", status, err)
		}
	}, ask: func(s *site) []diagnose.Finding { return s.doctor(s.H).Findings }, want: diagnose.ForwardingDisabled,
		says: func(s *site) string { return "alice sends packets for " + s.IP(s.Addr.B) }},
	{name: "forwarding off, nobody wants it", then: func(s *site) {
		s.H.Sysctl("net.ipv4.ip_forward", "0")
		s.H.Sysctl("net.ipv6.conf.all.forwarding", "0")
		s.A.Ping(s.Inner(2))
	}, ask: func(s *site) []diagnose.Finding { return s.doctor(s.H).Findings }},
	{name: "full tunnel for one family", fault: func(s *site) {
		s.A.WriteFile("/etc/resolv.conf", "", 0o644)
		s.allow(map[bool]string{false: "0.0.0.0/0", true: "::/0"}[s.V6])
	}, want: diagnose.FullTunnelOneFamily, says: func(*site) string { return "leave outside of it: " }},
	{name: "full tunnel for the only family", fault: func(s *site) {
		s.A.WriteFile("/etc/resolv.conf", "", 0o644)
		s.A.Run("ip", map[bool]string{false: "-6", true: "-4"}[s.V6], "route", "del", "default")
		s.allow(map[bool]string{false: "0.0.0.0/0", true: "::/0"}[s.V6])
	}},
	{name: "name server beside a full tunnel", fault: func(s *site) {
		s.A.WriteFile("/etc/resolv.conf", "nameserver "+s.IP(s.Addr.RLan)+"\n", 0o644)
		s.allow("0.0.0.0/0, ::/0")
	}, want: diagnose.DNSLeak, says: func(s *site) string { return s.IP(s.Addr.RLan) + " by eth0" }},
	{name: "name server in a full tunnel", fault: func(s *site) {
		s.A.WriteFile("/etc/resolv.conf", "nameserver "+s.IP(s.Addr.B)+"\n", 0o644)
		s.allow("0.0.0.0/0, ::/0")
	}},
	{name: "name server overwritten", fault: withDNS, then: func(s *site) {
		s.A.WriteFile("/etc/resolv.conf", "nameserver "+s.IP(s.Addr.RLan)+"\n", 0o644)
	}, want: diagnose.DNSNotApplied, says: func(s *site) string { return "asks " + s.IP(s.Addr.RLan) }},
	{name: "name server not there", fault: withDNS, ask: explained, want: diagnose.DNSUnreachable,
		says: func(*site) string { return "nothing that listens" }},
	{name: "name server behind a firewall", fault: func(s *site) {
		withDNS(s)
		sitetest.NFT(s.H, "input", "udp dport 53 drop")
	}, ask: explained, want: diagnose.DNSUnreachable, says: func(*site) string { return "did not answer" }},
	{name: "name server refuses", fault: withDNS, then: func(s *site) { refusing(s) }, ask: explained, want: diagnose.DNSUnreachable,
		says: func(*site) string { return "REFUSED" }},
	{name: "name server of some names alone", fault: func(s *site) {
		s.ConfA.Replace(s.T, "ListenPort", "DNS = corp.example\nListenPort")
		withDNS(s)
	}, then: func(s *site) { refusing(s, "corp.example.") }, ask: explained},
	{name: "name server answers from another address", fault: withDNS, then: func(s *site) {
		answering(s, s.IP(s.Addr.HLan))
	}, ask: explained, want: diagnose.DNSUnreachable, says: func(s *site) string { return "another address, " + s.IP(s.Addr.HLan) }},
	{name: "name server answers from an address that is not allowed", fault: withDNS, then: func(s *site) {
		ipH(s, "address", "add", s.Inner(9), "dev", "wg0")
		s.H.Settle()
		answering(s, s.Inner(9))
	}, ask: explained, want: diagnose.DNSUnreachable, says: func(s *site) string { return s.Inner(9) + ", which is not in the AllowedIPs" }},
	{name: "name server", fault: withDNS, then: func(s *site) {
		s.ServeNames(s.H, net.JoinHostPort(s.Inner(2), "53"), s.Addr.B.V4.Addr())
	}, ask: explained},
}

// Each finding is looked for where it is, and where something much like it is no
// fault.
func TestFindings(t *testing.T) {
	t.Parallel()
	for _, c := range findingTests {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/v6=%v", c.name, v6), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, v6)
				if c.fault != nil {
					c.fault(s)
				}
				s.UpBoth()
				if c.then != nil {
					c.then(s)
				}
				ask := c.ask
				if ask == nil {
					ask = func(s *site) []diagnose.Finding { return s.doctor(s.A).Findings }
				}
				if found := ask(s); c.want == "" {
					s.NoFindings(found, nil)
				} else {
					says := ""
					if c.says != nil {
						says = c.says(s)
					}
					s.wantFinding(found, c.want, says)
				}
			})
		}
	}
}

// called has H open a connection to A, once A has called.
func called(s *site) {
	s.A.Ping(s.Inner(2))
	s.H.Ping(s.Inner(1))
}

// withDNS gives A a name server behind H, by way of the file.
func withDNS(s *site) {
	s.A.WriteFile("/etc/resolv.conf", sitetest.OriginalResolv, 0o644)
	s.ConfA.Replace(s.T, "ListenPort", "DNS = "+s.Inner(2)+"\nListenPort")
}

func explained(s *site) []diagnose.Finding {
	r := s.Explain(s.Web())
	if !r.Verdict.Healthy() {
		s.T.Errorf("verdict %s: %s", r.Verdict.Code, r.Verdict.Summary)
	}
	return r.Findings
}

// A site without faults has no findings, on either host, and its peers' states
// are told.
func TestDoctorHealthySite(t *testing.T) {
	t.Parallel()
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, v6)
			s.UpBoth()
			states := func(want diagnose.State) {
				t.Helper()
				for _, h := range []*lab.Host{s.A, s.H} {
					r := s.doctor(h)
					s.NoFindings(r.Findings, r.Unchecked)
					if len(r.Peers) != 1 || r.Peers[0].State != want {
						t.Errorf("%s: want %s: %+v", h.Name(), want, r.Peers)
					}
				}
			}
			states(diagnose.StateNeverSeen)
			s.A.Run("curl", "-sS", "http://"+s.Web())
			states(diagnose.StateUp)
			if out := s.A.Run(s.Wgnode, "doctor", "wg0"); !strings.Contains(out, s.Gateway.Public+"  up\n") ||
				!strings.Contains(out, "No other problems found.") {
				t.Errorf("doctor printed\n%s", out)
			}
		})
	}
}

// What is wrong with a file is told before anything is changed, and stays a
// finding until it is put right.
func TestFileFindings(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.ConfA.Text += fmt.Sprintf("[Peer]\n# Name = twin\nPublicKey = %s\nAllowedIPs = 192.168.200.0/24\n[Peer]\n# Name = self\n"+
		"PublicKey = %s\nAllowedIPs = 10.0.0.9/32\n",
		lab.NewKey(t).Public, s.Alice.Public)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o644)
	s.A.Run("chmod", "755", "/etc/wireguard")
	want := []struct {
		code diagnose.Code
		says string
	}{
		{diagnose.WorldReadableConfig, "`/etc/wireguard/wg0.conf' is world accessible"},
		{diagnose.OverlappingAllowedIPs, "wg0.conf:13: AllowedIPs: 192.168.200.0/24 was given to peer gateway"},
		{diagnose.KeyIsOwn, "wg0.conf:16: PublicKey: is this interface's own"},
	}
	out := s.A.Run(s.Wgnode, "up", "wg0")
	before, _, _ := strings.Cut(out, "[#]")
	found := s.doctor(s.A).Findings
	for i, w := range want {
		if !strings.Contains(before, "Warning: ") || !strings.Contains(before, w.says) {
			t.Errorf("%q is not said before the first step of\n%s", w.says, out)
		}
		if len(found) != len(want) || found[i].Code != w.code || !strings.Contains(found[i].Summary, w.says) {
			t.Errorf("want %v, found %+v", want, found)
		}
	}
	s.A.Run("sh", "-c", found[0].Fix[0].Line())
	if found := s.doctor(s.A).Findings; len(found) != len(want)-1 || found[0].Code == diagnose.WorldReadableConfig {
		t.Errorf("after the cure: %+v", found)
	}
	if out := s.A.Run(s.Wgnode, "doctor", "wg0"); !strings.Contains(out, "\nOther findings\n  ! overlapping-allowedips: ") {
		t.Errorf("doctor printed\n%s", out)
	}
}
