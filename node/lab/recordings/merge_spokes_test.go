//go:build linux

package recordings

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// The recordings of two spokes tell together what became of a flow between them, though that
// of the hub is missing: what is joined is called inferred.
func TestMergeSpokes(t *testing.T) {
	t.Parallel()
	for _, v6 := range []bool{false, true} {
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprintf("v6=%v/lost=%v", v6, lost), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, v6)
				bob := lab.NewKey(t)
				s.ConfA.Replace(t, "10.0.0.2/32, fd0a::2/128", "10.0.0.0/24, fd0a::/64")
				s.ConfH.Text += fmt.Sprintf("[Peer]\n# Name = bob\nPublicKey = %s\nAllowedIPs = 10.0.0.3/32, fd0a::3/128\n", bob.Public)
				s.UpBoth()
				s.Up(s.B, &sitetest.Conf{Text: fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = 10.0.0.3/24, fd0a::3/64\n"+
					"[Peer]\n# Name = gateway\nPublicKey = %s\nEndpoint = %s\nAllowedIPs = 10.0.0.0/24, fd0a::/64\nPersistentKeepalive = 1\n",
					bob.Private, s.Gateway.Public, net.JoinHostPort(s.IP(s.Addr.HLan), "51820"))})
				s.B.Ping(s.Inner(2)) // so that H knows where it is
				s.A.Ping(s.Inner(2))
				var files []string
				var end []func() string
				for _, h := range []*lab.Host{s.A, s.B} {
					files = append(files, filepath.Join(t.TempDir(), h.Name()+".pcapng"))
					end = append(end, s.record(h, "-w", files[len(files)-1]))
				}
				if lost {
					sitetest.NFT(s.H, "forward", "iifname wg0 drop")
				}
				if _, _, err := s.A.Try("ping", "-c", "4", "-W", "1", s.Inner(3)); err != nil {
					t.Fatal(err)
				}
				for _, stop := range end {
					stop()
				}
				m := s.merge(files)
				i := slices.IndexFunc(m.Flows, func(f mergedFlow) bool { return f.Client == s.Inner(1) && f.Target == s.Inner(3) })
				if i < 0 || !strings.Contains(strings.Join(m.Remarks, "\n"), "(inferred)") {
					t.Fatalf("%+v", m)
				}
				f := &m.Flows[i]
				text := f.Verdict.Summary + strings.Join(evidence.Texts(f.Verdict.Evidence), "\n")
				want, hops, says := diagnose.Healthy, 2, "which lies between, was not recorded"
				if lost {
					want, hops, says = diagnose.NoReply, 1, "b has not got it"
				}
				if f.Verdict.Code != want || len(f.Hops) != hops || !strings.Contains(text, says) || f.Verdict.Certain == lost {
					t.Errorf("%d hops, %s, certain %v: %s", len(f.Hops), f.Verdict.Code, f.Verdict.Certain, text)
				}
			})
		}
	}
}
