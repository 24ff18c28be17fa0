//go:build linux

package faults

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// What happens to others at the same time is not evidence of what happens to the flow
// that is asked about.

// A neighbor of the target is down, and H says so to A all the time: about packets to
// the same port, by the way. The packets to the target itself are dropped.
func TestOthersFailOtherwise(t *testing.T) {
	t.Parallel()
	eachFamily(t, func(t *testing.T, s *site) {
		s.UpBoth()
		s.Want(s.Explain(s.Web()), diagnose.Healthy, "")
		dead := s.HLan().Addr().Next()
		for slices.Contains([]netip.Addr{s.Addr.HLan.V4.Addr(), s.Addr.HLan.V6.Addr(), s.Addr.B.V4.Addr(), s.Addr.B.V6.Addr()}, dead) {
			dead = dead.Next()
		}
		curl := fmt.Sprintf("curl -sS -o /dev/null -m 4 http://%s", net.JoinHostPort(dead.String(), "80"))
		sitetest.NFT(s.H, "forward", fmt.Sprintf("ip%s daddr %s tcp dport 80 drop", six(s), s.IP(s.Addr.B)))
		others := s.A.Start("sh", "-c", "while :; do for i in 1 2 3 4; do "+curl+" & done; wait; done")
		others.WaitOutput(t.Context(), "connect")
		r := s.Explain(s.Web())
		s.Want(r, diagnose.NoReply, "")
		if r.Verdict.Certain || r.Verdict.Checkpoint.String() != "A5" {
			t.Errorf("%+v", r.Verdict)
		}
	})
}

// An old connection to the same port runs on while new ones are dropped.
func TestOldConnectionRunsOn(t *testing.T) {
	t.Parallel()
	eachFamily(t, func(t *testing.T, s *site) {
		s.UpBoth()
		addr := net.JoinHostPort(s.IP(s.Addr.B), "8080")
		l := s.B.Listen("tcp", addr)
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(c, c); _ = c.Close() }() // until the client is gone
			}
		}()
		s.Want(s.Explain(addr), diagnose.Healthy, "")
		old, err := s.A.Dial(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		go func() {
			for {
				if _, err := old.Write([]byte("on")); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond) // the pace of the connection
			}
		}()
		var echoed atomic.Int64
		go func() {
			buf := make([]byte, 512)
			for {
				n, err := old.Read(buf)
				if err != nil {
					return
				}
				echoed.Add(int64(n))
			}
		}()
		sitetest.NFT(s.H, "forward", "tcp dport 8080 tcp flags syn / syn,ack drop") // conntrack may not know the old one
		s.Want(s.Overheard(addr), diagnose.ForwardFirewall, "tcp dport 8080")
		before := echoed.Load()
		r := s.Explain(addr)
		if echoed.Load() == before {
			t.Error("the old connection does not run on")
		}
		s.Want(r, diagnose.NoReply, "")
		if r.Verdict.Certain || r.Verdict.Checkpoint.String() != "A5" {
			t.Errorf("%+v", r.Verdict)
		}
		for _, rung := range r.Ladder {
			if rung.Checkpoint.String() == "A6" && rung.Status == diagnose.Pass {
				t.Errorf("a reply of the old connection is shown: %+v", rung)
			}
		}
	})
}

// This host gives the probe another port on its way into the tunnel.
func TestTranslatedOnTheWayIn(t *testing.T) {
	t.Parallel()
	eachFamily(t, func(t *testing.T, s *site) {
		s.UpBoth()
		s.A.RunInput("table inet t {\n chain c {\n  type nat hook postrouting priority 100\n"+
			"  oifname wg0 meta l4proto tcp masquerade to :61000-61100\n }\n}\n", "nft", "-f", "-")
		s.Want(s.Explain(s.Web()), diagnose.Healthy, "")
		sitetest.NFT(s.A, "input", "tcp sport 80 drop")
		s.Want(s.Explain(s.Web()), diagnose.InputFirewall, "tcp sport 80 drop")
	})
}

// eachFamily runs a test on a site of each family.
func eachFamily(t *testing.T, test func(t *testing.T, s *site)) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			t.Parallel()
			test(t, newSite(t, v6))
		})
	}
}

func six(s *site) string {
	if s.V6 {
		return "6"
	}
	return ""
}
