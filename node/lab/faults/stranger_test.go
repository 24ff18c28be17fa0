//go:build linux

package faults

import (
	"crypto/rand"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// What a stranger sends to the tunnel's port, and what becomes of it, is not evidence of what
// becomes of a peer's packets: not if it looks like a message, nor if it has a peer's address.

// floods has a host send datagrams like messages of a type to an address until the test ends.
func floods(t *testing.T, h *lab.Host, to string, kind byte, length int) {
	t.Helper()
	c, err := h.Dial(t.Context(), "udp", to)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		msg := make([]byte, length)
		for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
			rand.Read(msg)
			copy(msg, []byte{kind, 0, 0, 0})
			if _, err := c.Write(msg); err != nil && t.Context().Err() != nil {
				return // closed
			}
		}
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-ended
	})
}

// strangers has a host that is no peer send to H's tunnel what a rule there drops.
func strangers(s *site, rule string) {
	s.T.Helper()
	sitetest.NFT(s.H, "input", rule+" comment "+harmless)
	to := net.JoinHostPort(s.IP(s.Addr.HWan), "51820")
	floods(s.T, s.R, to, probe.TypeInitiation, probe.LenInitiation)
	floods(s.T, s.R, to, probe.TypeData, 128)
	floods(s.T, s.B, net.JoinHostPort(s.IP(s.Addr.HLan), "51820"), probe.TypeInitiation, probe.LenInitiation)
}

func blames(v *diagnose.Verdict, rule string) bool {
	return strings.Contains(strings.Join(append([]string{v.Summary}, evidence.Texts(v.Evidence)...), "\n"), rule)
}

// H drops strangers. What is wrong is something else, or nothing that H can know.
func TestStrangerDropped(t *testing.T) {
	t.Parallel()
	// Of A's packets those to H pass: R translates them, and it is R that sends the others.
	others := "udp dport 51820 udp length 156 ct state new limit rate over 1/day burst 1 packets drop"
	t.Run("A is down", func(t *testing.T) {
		eachFamily(t, func(t *testing.T, s *site) {
			s.UpBoth()
			s.Want(s.Explain(s.Web()), diagnose.Healthy, "")
			s.A.Run(s.Wgnode, "down", "wg0")
			strangers(s, "udp dport 51820 drop")
			for _, more := range [][]string{nil, {"--from", s.Inner(1)}} {
				r := s.ExplainOn(s.H, append([]string{s.Web(), "--passive", "--timeout", "3s"}, more...)...)
				if v := &r.Verdict; v.Certain || v.Code != diagnose.Idle && v.Code != diagnose.UnderlayInputFirewall {
					t.Errorf("%s, certain %v: %s\n%q", v.Code, v.Certain, v.Summary, v.Evidence)
				}
			}
		})
	})
	t.Run("forward rule", func(t *testing.T) {
		eachFamily(t, func(t *testing.T, s *site) {
			s.UpBoth()
			s.Want(s.Explain(s.Web()), diagnose.Healthy, "")
			s.H.RunInput("table inet wall {\n chain c {\n  type filter hook forward priority 0\n  tcp dport 80 drop comment culprit\n }\n}\n",
				"nft", "-f", "-")
			strangers(s, "ip"+six(s)+" saddr "+s.IP(s.Addr.B)+" drop\n "+others)
			r := s.Overheard(s.Web())
			s.Want(r, diagnose.ForwardFirewall, culprit)
			if !r.Verdict.Certain || blames(&r.Verdict, harmless) {
				t.Errorf("certain %v: %q", r.Verdict.Certain, r.Verdict.Evidence)
			}
		})
	})
	t.Run("A is dropped, too", func(t *testing.T) {
		eachFamily(t, func(t *testing.T, s *site) {
			s.UpBoth()
			s.Want(s.Explain(s.Web()), diagnose.Healthy, "")
			strangers(s, fmt.Sprintf("ip%s saddr %s drop\n iifname wan udp dport 51820 drop comment %s\n udp dport 9 drop",
				six(s), s.IP(s.Addr.B), culprit))
			s.A.Run(s.Wgnode, "down", "wg0")
			s.A.Run(s.Wgnode, "up", "wg0")
			r := s.Overheard(s.Web())
			s.Want(r, diagnose.UnderlayInputFirewall, culprit)
			read := func(l evidence.Line) bool { return l.Known == evidence.Authenticated }
			if !r.Verdict.Certain || !slices.ContainsFunc(r.Verdict.Evidence, read) {
				t.Errorf("certain %v: %q", r.Verdict.Certain, r.Verdict.Evidence)
			}
		})
	})
}

// R sends in H's name to A, which drops that. H's own packets are lost on the way.
func TestStrangerInAPeersName(t *testing.T) {
	t.Parallel()
	eachFamily(t, func(t *testing.T, s *site) {
		s.UpBoth()
		s.Want(s.Explain(s.Web()), diagnose.Healthy, "")
		s.A.Run(s.Wgnode, "down", "wg0")
		s.A.Run(s.Wgnode, "up", "wg0")
		ip := "ip" + six(s)
		s.R.RunInput(fmt.Sprintf("table inet forged {\n"+
			" chain c {\n  type filter hook postrouting priority 300\n"+
			"  %s daddr %s udp dport 51821 %s saddr set %s udp sport set 51820\n }\n chain f {\n  type filter hook forward priority 0\n"+
			"  udp dport 51820 drop\n }\n}\n", ip, s.IP(s.Addr.A), ip, s.IP(s.Addr.HWan)), "nft", "-f", "-")
		sitetest.NFT(s.A, "input", "udp sport 51820 drop comment "+harmless)
		to := net.JoinHostPort(s.IP(s.Addr.A), "51821")
		floods(t, s.R, to, probe.TypeResponse, probe.LenResponse)
		floods(t, s.R, to, probe.TypeData, 128)
		r := s.Explain(s.Web())
		v := &r.Verdict
		if v.Code != diagnose.NoResponse || v.Certain || len(v.Candidates) == 0 || v.Candidates[0].Code != diagnose.UnderlayInputFirewall {
			t.Errorf("%s, certain %v: %s\n%q\n%+v", v.Code, v.Certain, v.Summary, v.Evidence, v.Candidates)
		}
	})
}
