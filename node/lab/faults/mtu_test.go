//go:build linux

package faults

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// A path that swallows large packets is found, with the size that gets through.
// One that says what it takes is none, and neither is one that takes all.
func TestMTUBlackhole(t *testing.T) {
	lab.Need(t, "nft", "ip", "ping")
	t.Parallel()
	ask := func(s *site) *diagnose.Report { return s.Explain(s.Web()) }
	for _, c := range []struct {
		name  string
		fault func(s *site)
		want  diagnose.Code
		least int // of the size found, and most
		most  int
		says  string
	}{
		// An inner packet of n bytes is one of n padded to 16, and 60 more; 80 with IPv6.
		{name: "the way between, both ways", fault: func(s *site) { sitetest.NFT(s.R, "forward", "udp length > 1350 drop") },
			want: diagnose.MTUBlackhole, least: 1296, most: 1312, says: "ip link set mtu"},
		{name: "the way there", fault: func(s *site) { sitetest.NFT(s.R, "forward", "udp dport 51820 udp length > 1350 drop") },
			want: diagnose.MTUBlackhole, least: 1296, most: 1312, says: "there or back"},
		{name: "the way back", fault: func(s *site) { sitetest.NFT(s.R, "forward", "udp sport 51820 udp length > 1350 drop") },
			want: diagnose.MTUBlackhole, least: 1296, most: 1312, says: "on the way back"},
		{name: "behind the tunnel", fault: func(s *site) { sitetest.NFT(s.H, "forward", "oifname lan meta length > 1340 drop") },
			want: diagnose.MTUBlackhole, least: 1336, most: 1340, says: "maxseg"},
		{name: "behind the tunnel, and said", fault: func(s *site) {
			s.H.Run("ip", "link", "set", "lan", "mtu", "1340")
			s.B.Run("ip", "link", "set", "eth0", "mtu", "1340")
		}, want: diagnose.Healthy, says: "tells senders so"},
		{name: "drops of other large packets", fault: func(s *site) { sitetest.NFT(s.R, "forward", "udp dport 9 udp length > 600 drop") },
			want: diagnose.Healthy, says: "full size, 1420 bytes"},
		{name: "the destination answers small pings alone", fault: func(s *site) {
			s.B.RunInput("table inet f {\nchain c {\ntype filter hook input priority 0\nmeta l4proto { icmp, ipv6-icmp } meta length > 1340 drop\n"+
				"}\n}\n", "nft", "-f", "-")
		}, want: diagnose.MTUBlackhole, least: 1336, most: 1340, says: "maxseg"},
		{name: "a way narrower than any should be", fault: func(s *site) { sitetest.NFT(s.R, "forward", "udp length > 300 drop") },
			want: diagnose.MTUBlackhole, least: 252, most: 256, says: "no MTU helps"},
		{name: "echoes are rationed", fault: func(s *site) {
			s.B.RunInput("table inet f {\nchain c {\ntype filter hook input priority 0\n"+
				"icmp type echo-request limit rate over 1/second burst 1 packets drop\n"+
				"icmpv6 type echo-request limit rate over 1/second burst 1 packets drop\n}\n}\n", "nft", "-f", "-")
		}, want: diagnose.Healthy, says: "full"},
		{name: "nobody answers echo", fault: func(s *site) {
			sitetest.NFT(s.R, "forward", "udp length > 1350 drop")
			s.B.RunInput("table inet f {\nchain c {\ntype filter hook input priority 0\nicmp type echo-request drop\n"+
				"icmpv6 type echo-request drop\n}\n}\n", "nft", "-f", "-")
		}, want: diagnose.Healthy},
	} {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/v6=%v", c.name, v6), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, v6)
				c.fault(s)
				s.UpBoth()
				r := ask(s)
				s.Want(r, c.want, c.says)
				if c.want != diagnose.MTUBlackhole {
					return
				}
				// Nobody knows it who sees only that something is missing.
				if cs := r.Verdict.Candidates; r.Verdict.Certain || len(cs) < 2 || cs[1].Code != diagnose.NoReplyFromDestination {
					t.Errorf("certain %v: %+v", r.Verdict.Certain, cs)
				}
				m := regexp.MustCompile(`answered has (\d+) bytes`).FindStringSubmatch(fmt.Sprint(r.Verdict.Evidence))
				if m == nil {
					t.Fatalf("no size in %v", r.Verdict.Evidence)
				}
				if size, err := strconv.Atoi(m[1]); err != nil || size < c.least-8 || size > c.most+8 {
					t.Errorf("size %s, want %d to %d", m[1], c.least, c.most)
				}
			})
		}
	}
}
