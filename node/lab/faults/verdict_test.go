//go:build linux

package faults

import (
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// Each verdict is tried as a user would: two hosts with a configuration file
// each, one fault, and wgnode explain. The same configuration without the fault
// is healthy.

// rewriteSource makes H give replies of B another source, without conntrack.
func rewriteSource(s *site) {
	proto, from, to := "ip", s.Addr.B.V4.Addr().String(), "192.0.2.99"
	if s.V6 {
		proto, from, to = "ip6", s.Addr.B.V6.Addr().String(), "fd99::99"
	}
	s.H.RunInput(fmt.Sprintf("table %s fault {\n chain c {\n type filter hook postrouting priority 300\n"+
		" oifname wg0 %s saddr %s %s saddr set %s\n }\n}\n",
		proto, proto, from, proto, to), "nft", "-f", "-")
}

// Two hosts with one key: H sees the endpoint go back and forth.
func TestVerdictSharedKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.ConfH.Replace(t, "AllowedIPs", "PersistentKeepalive = 25\nAllowedIPs")
	s.UpBoth()
	s.Up(s.B, &sitetest.Conf{Text: fmt.Sprintf(
		"[Interface]\nPrivateKey = %s\nAddress = 10.0.0.1/24\n[Peer]\nPublicKey = %s\nEndpoint = %s:51820\nAllowedIPs = 10.0.0.2/32\n",
		s.Alice.Private, s.Gateway.Public, s.Addr.HLan.V4.Addr())})
	// H takes no two initiations of one key within 20 ms, so that B's may have
	// to come again, after 5 s.
	s.A.Ping("10.0.0.2")
	s.B.Ping("10.0.0.2")
	for range 2 {
		for _, h := range []*lab.Host{s.A, s.B} {
			// It may go unanswered: H has the other's session by now.
			if _, _, err := h.Try("ping", "-c", "1", "-W", "1", "10.0.0.2"); err != nil {
				t.Fatal(err)
			}
		}
	}
	var r diagnose.DoctorReport
	if status := s.Ask(s.H, &r, "doctor", "wg0"); status != 2 {
		t.Errorf("exit status %d", status)
	}
	if len(r.Peers) != 1 || r.Peers[0].Verdict.Code != diagnose.SharedKey {
		t.Errorf("%+v", r.Peers)
	}
}

// An initiation that comes again is a replay, as when the clock of a peer went
// back.
func TestVerdictReplay(t *testing.T) {
	lab.Need(t, "tcpdump")
	t.Parallel()
	s := newSite(t, false)
	s.Up(s.H, s.ConfH)
	pcap := t.TempDir() + "/initiation.pcap"
	dump := s.R.Start("tcpdump", "-ni", "wan", "-U", "-c", "1", "-w", pcap, "udp", "dst", "port", "51820", "and", "udp[4:2]", "=", "156")
	dump.WaitOutput(t.Context(), "listening on")
	s.Up(s.A, s.ConfA)
	s.Want(s.Explain(s.Web()), diagnose.Healthy, "")
	if err := dump.Wait(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(pcap)
	if err != nil {
		t.Fatal(err)
	}
	initiation := raw[len(raw)-148:]
	c, err := s.R.Dial(t.Context(), "udp", net.JoinHostPort(s.IP(s.Addr.HWan), "51820"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		if _, err := c.Write(initiation); err != nil {
			t.Fatal(err)
		}
	}
	var r diagnose.DoctorReport
	s.Ask(s.H, &r, "doctor", "wg0")
	if len(r.Peers) != 1 || r.Peers[0].Verdict.Code != diagnose.HandshakeReplay {
		t.Errorf("%+v", r.Peers)
	}
}
