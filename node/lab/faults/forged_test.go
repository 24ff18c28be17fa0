//go:build linux

package faults

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// prohibited is an ICMP error "administratively prohibited" about a datagram, that quotes
// no more of it than everybody knows who knows the two ends: its headers.
func prohibited(src, dst netip.AddrPort) []byte {
	udp := make([]byte, 8)
	binary.BigEndian.PutUint16(udp[0:], src.Port())
	binary.BigEndian.PutUint16(udp[2:], dst.Port())
	binary.BigEndian.PutUint16(udp[4:], 8+probe.LenInitiation)
	if src.Addr().Is6() { // the kernel adds the checksum
		ip := make([]byte, 8, 40)
		ip[0], ip[6], ip[7] = 0x60, probe.ProtoUDP, 60
		binary.BigEndian.PutUint16(ip[4:], 8+probe.LenInitiation)
		ip = append(append(ip, src.Addr().AsSlice()...), dst.Addr().AsSlice()...)
		return slices.Concat([]byte{1, 1, 0, 0, 0, 0, 0, 0}, ip, udp)
	}
	ip := make([]byte, 12, 20)
	ip[0], ip[8], ip[9] = 0x45, 60, probe.ProtoUDP
	binary.BigEndian.PutUint16(ip[2:], 28+probe.LenInitiation)
	ip = append(append(ip, src.Addr().AsSlice()...), dst.Addr().AsSlice()...)
	msg := slices.Concat([]byte{3, 13, 0, 0, 0, 0, 0, 0}, ip, udp)
	var sum uint32
	for i := 0; i < len(msg); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(msg[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(msg[2:], ^uint16(sum))
	return msg
}

// Errors that anybody can send make no verdict certain, and not another one: what they
// claim is told.
func TestForgedICMP(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, v6)
			s.Up(s.A, s.ConfA)
			sitetest.NFT(s.R, "forward", "udp dport 51820 drop")
			network := "ip4:icmp"
			if v6 {
				network = "ip6:ipv6-icmp"
			}
			a, h := netip.MustParseAddr(s.IP(s.Addr.A)), netip.MustParseAddr(s.IP(s.Addr.HWan))
			forge, err := s.R.Dial(t.Context(), network, a.String())
			if err != nil {
				t.Fatal(err)
			}
			msg := prohibited(netip.AddrPortFrom(a, 51821), netip.AddrPortFrom(h, 51820))
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for tick := time.NewTicker(100 * time.Millisecond); ; <-tick.C {
					if _, err := forge.Write(msg); err != nil {
						return // closed
					}
				}
			}()
			r := s.Explain(s.Web())
			_ = forge.Close()
			<-ended
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
