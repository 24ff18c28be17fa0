//go:build linux

package faults

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// spokes is a site in which B is a spoke too: A reaches it by way of H. B serves
// HTTP at its tunnel address.
func spokes(t *testing.T, v6 bool) *site {
	s := newSite(t, v6)
	bob := lab.NewKey(t)
	s.ConfA.Replace(t, "10.0.0.2/32, fd0a::2/128, ", "10.0.0.0/24, fd0a::/64, ")
	s.ConfH.Text += fmt.Sprintf("[Peer]\n# Name = bob\nPublicKey = %s\nAllowedIPs = 10.0.0.3/32, fd0a::3/128\n", bob.Public)
	s.Up(s.H, s.ConfH)
	s.Up(s.B, &sitetest.Conf{Text: fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = 10.0.0.3/24, fd0a::3/64\n[Peer]\n# Name = hub\n"+
		"PublicKey = %s\nEndpoint = %s\nAllowedIPs = 10.0.0.0/24, fd0a::/64\nPersistentKeepalive = 25\n",
		bob.Private, s.Gateway.Public, net.JoinHostPort(s.IP(s.Addr.HLan), "51820"))})
	s.Up(s.A, s.ConfA)
	s.B.ServeHTTP("[::]:8080", "hello")
	s.Want(s.Explain(net.JoinHostPort(s.Inner(3), "8080")), diagnose.Healthy, "")
	return s
}

// From spoke to spoke the hub is both: called by the one, and calling the other.
func TestSpokes(t *testing.T) {
	t.Parallel()
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			t.Parallel()
			s := spokes(t, v6)
			target := net.JoinHostPort(s.Inner(3), "8080")
			both := func(code diagnose.Code, at string) {
				t.Helper()
				for _, more := range [][]string{nil, {"--from", s.Inner(1)}} {
					r := s.Overheard(target, more...)
					s.Want(r, code, "")
					if r.Verdict.Checkpoint.String() != at {
						t.Errorf("%s is at %s, want %s", code, r.Verdict.Checkpoint, at)
					}
					var rungs []string
					for _, rung := range r.Ladder {
						rungs = append(rungs, rung.Checkpoint.String())
						if code == diagnose.Healthy && rung.Status == diagnose.Unknown {
							t.Errorf("%s is unknown", rung.Checkpoint)
						}
					}
					if want := strings.Fields("B1 B2 B3 B4 B5 A1 A2 A3 A4 A5 A6 B6 B7 B8"); !slices.Equal(rungs, want) {
						t.Errorf("rungs %v, want %v", rungs, want)
					}
					if r.PeerName != "alice" || r.OnwardName != "bob" {
						t.Errorf("from %s to %s", r.PeerName, r.OnwardName)
					}
				}
			}
			both(diagnose.Healthy, "")
			sitetest.NFT(s.H, "forward", "iifname wg0 tcp dport 8080 drop")
			both(diagnose.ForwardFirewall, "B5")
			s.H.Run("nft", "delete", "table", "inet", "fault")
			sitetest.NFT(s.H, "forward", "iifname wg0 tcp sport 8080 drop")
			both(diagnose.ReturnFirewall, "B7")
			s.H.Run("nft", "delete", "table", "inet", "fault")
			s.B.Run(s.Wgnode, "down", "wg0")
			both(diagnose.EndpointPortClosed, "A3")
		})
	}
}

// One interface with a full tunnel, one with a split one whose encrypted packets
// go through the first.
func TestTunnelThroughTunnel(t *testing.T) {
	t.Parallel()
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, v6)
			tunnelOutside(s)
			s.UpBoth()
			far := map[bool]string{false: "10.1.0.2", true: "fd1a::2"}[v6]
			wg1 := func() *diagnose.Report {
				t.Helper()
				var r diagnose.Report
				s.Ask(s.A, &r, "explain", "wg1", far)
				return &r
			}
			s.Want(wg1(), diagnose.Healthy, "")
			s.Want(s.Explain(s.Web()), diagnose.Healthy, "")
			s.Want(s.Overheard(s.Web()), diagnose.Healthy, "")

			sitetest.NFT(s.A, "output", "udp dport 51820 oifname wg1 drop comment culprit")
			s.Want(s.Explain(s.Web()), diagnose.UnderlayOutputFirewall, "culprit")
			s.Want(wg1(), diagnose.Healthy, "")
			s.A.Run("nft", "delete", "table", "inet", "fault")

			sitetest.NFT(s.A, "input", "iifname wg0 drop comment culprit")
			s.Want(s.Explain(s.Web()), diagnose.InputFirewall, "culprit")
			s.Want(wg1(), diagnose.Healthy, "")
			s.A.Run("nft", "delete", "table", "inet", "fault")

			sitetest.NFT(s.A, "output", "udp dport 51830 drop comment culprit")
			s.Want(wg1(), diagnose.UnderlayOutputFirewall, "culprit")
			s.A.Run("nft", "delete", "table", "inet", "fault")

			sitetest.NFT(s.H, "forward", "iifname wg0 drop comment culprit")
			s.Want(s.Overheard(s.Web()), diagnose.ForwardFirewall, "culprit")
		})
	}
}
