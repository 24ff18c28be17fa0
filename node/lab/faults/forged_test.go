//go:build linux

package faults

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// Errors that anybody can send make no verdict certain, and not another one: what they
// claim is told.
func TestForgedICMP(t *testing.T) {
	t.Parallel()
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, v6)
			s.Up(s.A, s.ConfA)
			sitetest.NFT(s.R, "forward", "udp dport 51820 drop")
			a, h := netip.MustParseAddr(s.IP(s.Addr.A)), netip.MustParseAddr(s.IP(s.Addr.HWan))
			router := netip.MustParseAddr(s.IP(s.Addr.RLan))
			stop := s.forge(icmpError(router, netip.AddrPortFrom(a, 51821), netip.AddrPortFrom(h, 51820), 3, 13, 1, 1))
			r := s.Explain(s.Web())
			stop()
			v := &r.Verdict
			claimed := slices.ContainsFunc(v.Evidence, func(l evidence.Line) bool { return l.Known == evidence.Claimed })
			if v.Code != diagnose.NoResponse || v.Certain || !claimed || !strings.Contains(v.Summary, "claims: administratively prohibited") {
				t.Errorf("%s, certain %v: %s\n%q", v.Code, v.Certain, v.Summary, v.Evidence)
			}
			if len(v.Candidates) == 0 || v.Candidates[0].Code != diagnose.EndpointProhibited {
				t.Errorf("candidates %+v", v.Candidates)
			}
		})
	}
}

// A datagram of random bytes, of the length of an initiation, is a finding and no fault.
func TestRandomDatagram(t *testing.T) {
	t.Parallel()
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, v6)
			s.UpBoth()
			s.Want(s.Explain(s.Web()), diagnose.Healthy, "")
			c, err := s.R.Dial(t.Context(), "udp", net.JoinHostPort(s.IP(s.Addr.HWan), "51820"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			msg := make([]byte, probe.LenInitiation)
			rand.Read(msg)
			copy(msg, []byte{probe.TypeInitiation, 0, 0, 0})
			if _, err := c.Write(msg); err != nil {
				t.Fatal(err)
			}
			var r diagnose.DoctorReport
			status := s.Ask(s.H, &r, "doctor", "wg0", "--for", "1s")
			if status != 0 || len(r.Peers) != 1 || !r.Peers[0].Verdict.Healthy() {
				t.Errorf("status %d, peers %+v", status, r.Peers)
			}
			if !slices.ContainsFunc(r.Findings, func(f diagnose.Finding) bool { return f.Code == diagnose.WrongPublicKey }) {
				t.Errorf("findings %+v", r.Findings)
			}
		})
	}
}
